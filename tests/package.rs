//! What `cargo xtask package` makes: the same bytes each time, complete, and of use once it is installed.
//!
//! `cargo xtask package --check` makes the packages of this program twice, in `first` and `second` of the folder DOCKBELL_TEST_PACKAGES.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dockbell_tests::engine::{ScriptedEngine, container};
use dockbell_tests::program::{Program, program};
use tempfile::TempDir;

const UNIT: &str = "usr/lib/systemd/system/dockbell.service";
const CONFIGURATION: &str = "etc/dockbell/dockbell.toml";

fn packages() -> PathBuf {
    let Some(folder) = std::env::var_os("DOCKBELL_TEST_PACKAGES") else { panic!("run `cargo xtask package --check`") };
    folder.into()
}

/// The one package with this ending.
fn package(ending: &str) -> PathBuf {
    let files = fs::read_dir(packages().join("first")).unwrap().map(|file| file.unwrap().path());
    let found: Vec<PathBuf> = files.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    let [package] = &found[..] else { panic!("{ending}: {found:?}") };
    package.clone()
}

/// What a command prints when it succeeds.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must succeed and complain about nothing.
#[track_caller]
fn content(command: &mut Command) {
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{command:?}: {complaint}");
}

/// The files of the package for Debian, without installing it.
fn unpacked() -> TempDir {
    let root = TempDir::new().unwrap();
    said(Command::new("dpkg-deb").arg("--extract").arg(package(".deb")).arg(root.path()));
    root
}

#[test]
#[ignore = "needs packages: `cargo xtask package --check`"]
fn the_same_program_gives_the_same_packages_and_their_checksums_are_right() {
    let [first, second] = ["first", "second"].map(|time| packages().join(time));
    said(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&first));
    let sums = fs::read_to_string(first.join("SHA256SUMS")).unwrap();
    assert_eq!(sums, fs::read_to_string(second.join("SHA256SUMS")).unwrap());
    assert_eq!(sums.lines().count(), 2, "{sums}");
}

#[test]
#[ignore = "needs packages: `cargo xtask package --check`"]
fn the_archive_holds_what_people_install_by_hand() {
    let folder = TempDir::new().unwrap();
    said(Command::new("tar").arg("--extract").arg("--file").arg(package(".tar.gz")).arg("-C").arg(folder.path()));
    let top = folder.path().join(format!("dockbell-{}", env!("CARGO_PKG_VERSION")));
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "dockbell.toml", "dockbell.service"] {
        assert!(top.join(file).is_file(), "{file}");
    }
    for file in ["man/dockbell.1", "completions/dockbell.bash", "completions/_dockbell", "completions/dockbell.fish"] {
        assert!(fs::metadata(top.join(file)).unwrap().len() > 1000, "{file}");
    }
    let version = said(Command::new(top.join("dockbell")).arg("--version"));
    assert_eq!(version.trim(), concat!("dockbell ", env!("CARGO_PKG_VERSION")));
    let listed = said(Command::new("tar").args(["--list", "--verbose", "--file"]).arg(package(".tar.gz")));
    assert!(listed.lines().all(|line| line.contains(" 0/0 ")), "{listed}");
}

/// A system with this machine's C library and nothing else, in which packages are installed.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let admin = root.path().join("var/lib/dpkg");
        fs::create_dir_all(admin.join("info")).unwrap();
        fs::create_dir_all(admin.join("updates")).unwrap();
        let form = "Package: ${Package}\nStatus: install ok installed\nArchitecture: ${Architecture}\n\
                    Multi-Arch: same\nMaintainer: nobody\nVersion: ${Version}\nDescription: a library\n\n";
        let status = said(
            Command::new("dpkg-query").arg("--show").arg(format!("--showformat={form}")).args(["libc6", "libgcc-s1"]),
        );
        fs::write(admin.join("status"), &status).unwrap();
        let architecture = said(Command::new("dpkg").arg("--print-architecture"));
        for library in ["libc6", "libgcc-s1"] {
            fs::write(admin.join(format!("info/{library}:{}.list", architecture.trim())), "/.\n").unwrap();
        }
        Self(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn dpkg(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", self.0.path().display()));
        // The scripts of the package run outside, with DPKG_ROOT: there is no shell in there.
        command.arg("--force-script-chrootless").args(arguments);
        command
    }
}

mod as_root {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs packages: `cargo xtask package --check`"]
    async fn the_deb_is_installed_and_its_unit_starts_and_ends_and_it_is_purged() {
        let (scratch, engine) = (Scratch::new(), ScriptedEngine::unix().await);
        said(scratch.dpkg(&["--install"]).arg(package(".deb")));
        assert_eq!(said(&mut scratch.dpkg(&["--verify", "dockbell"])), "", "md5sums");
        let mut query = Command::new("dpkg-query");
        query.arg(format!("--admindir={}", scratch.path("var/lib/dpkg").display()));
        let status = said(query.args(["--show", "--showformat=${db:Status-Abbrev}|${Conffiles}", "dockbell"]));
        assert!(status.starts_with("ii ") && status.contains(&format!("/{CONFIGURATION} ")), "{status}");

        // What systemd does: the unit's command, its directories, SIGTERM.
        let (state, cache) = (scratch.path("var/lib/dockbell"), scratch.path("var/cache/dockbell"));
        for folder in [&state, &cache] {
            fs::create_dir_all(folder).unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let unit = fs::read_to_string(scratch.path(UNIT)).unwrap();
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/")).unwrap();
        let mut words = start.split(' ');
        let mut command = program(scratch.path(words.next().unwrap()).to_str().unwrap());
        command.args(words).env_remove("DOCKBELL_STATE").env("DOCKER_HOST", engine.host());
        command.env("STATE_DIRECTORY", &state).env("CACHE_DIRECTORY", &cache);
        command.env("DOCKBELL_CONFIG", scratch.path(CONFIGURATION));
        let running = Program::start(&mut command);
        engine.subscribed(1).await;
        engine.send(container("die").name("web-1").attribute("exitCode", "3"));
        running.output(|output| output.contains("web-1 die (exit 3"));
        let ended = running.terminate();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
        assert!(ended.log.contains("local"), "it says what it watches: {}", ended.log);

        said(&mut scratch.dpkg(&["--purge", "dockbell"]));
        for path in ["usr/bin/dockbell", CONFIGURATION, UNIT, "var/lib/dockbell", "var/cache/dockbell"] {
            assert!(!scratch.path(path).exists(), "{path}");
        }
    }
}

#[test]
#[ignore = "needs packages: `cargo xtask package --check`"]
fn the_control_fields_are_whole_and_the_configuration_changes_nothing() {
    let fields = "Package Version Architecture Maintainer Installed-Size Depends Section Priority Description";
    let control = said(Command::new("dpkg-deb").arg("--field").arg(package(".deb")));
    for field in fields.split(' ') {
        let line = control.lines().find_map(|line| line.strip_prefix(&format!("{field}: ")));
        assert!(line.is_some_and(|value| !value.trim().is_empty()), "{field}: {control}");
    }
    assert!(control.contains("Depends: libc6 (>= 2."), "{control}");
    let root = unpacked();
    let configuration = fs::read_to_string(root.path().join(CONFIGURATION)).unwrap();
    assert!(configuration.lines().all(|line| line.is_empty() || line.starts_with('#')), "{configuration}");
    let copyright = fs::read_to_string(root.path().join("usr/share/doc/dockbell/copyright")).unwrap();
    assert!(copyright.contains("Permission is hereby granted") && copyright.contains("Apache-2.0"), "{copyright}");
}

#[test]
#[ignore = "needs packages: `cargo xtask package --check`"]
fn the_manual_page_is_formatted_without_a_complaint() {
    let root = unpacked();
    let page = root.path().join("usr/share/man/man1/dockbell.1");
    said(Command::new("gunzip").arg(page.with_extension("1.gz")));
    let mut groff = Command::new("groff");
    groff.args(["-man", "-Tutf8", "-ww", "-P-cbou"]).arg(&page);
    content(&mut groff);
    let text = said(&mut groff);
    for words in ["dockbell", "check", "outbox", "--config"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
#[ignore = "needs packages: `cargo xtask package --check`"]
fn each_shell_reads_its_completions() {
    let root = unpacked();
    let share = root.path().join("usr/share");
    for (shell, option, file) in [
        ("bash", "-n", "bash-completion/completions/dockbell"),
        ("zsh", "-n", "zsh/vendor-completions/_dockbell"),
        ("fish", "--no-execute", "fish/vendor_completions.d/dockbell.fish"),
    ] {
        content(Command::new(shell).arg(option).arg(share.join(file)));
    }
    let offered = said(Command::new("bash").arg("-c").arg(format!(
        "source {}; COMP_WORDS=(dockbell out); COMP_CWORD=1; _dockbell dockbell out dockbell; echo ${{COMPREPLY[*]}}",
        share.join("bash-completion/completions/dockbell").display()
    )));
    assert_eq!(offered.trim(), "outbox");
}

#[test]
#[ignore = "needs packages: `cargo xtask package --check`"]
fn systemd_finds_no_fault_with_the_unit_and_it_stops_later_than_dockbell() {
    let root = unpacked();
    let unit = fs::read_to_string(root.path().join(UNIT)).unwrap();
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
    for (key, wanted) in [
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("StateDirectory", "dockbell"),
        ("CacheDirectory", "dockbell"),
        ("SupplementaryGroups", "docker"),
        ("DynamicUser", "yes"),
    ] {
        assert_eq!(value(key), wanted, "{key}");
    }
    // The default of `grace` is 10 s, and what is under way then has 3 s more.
    let seconds: u32 = value("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(seconds > 10 + 3, "{seconds}");
    let copy = root.path().join("dockbell.service");
    let program = root.path().join("usr/bin/dockbell");
    fs::write(&copy, unit.replace("/usr/bin/dockbell", program.to_str().unwrap())).unwrap();
    content(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy));
    let security = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=20"])
        .arg(Path::new(&copy))
        .output()
        .unwrap();
    assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
}
