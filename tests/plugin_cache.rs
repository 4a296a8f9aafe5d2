//! Plugins compiled by a process of their own, within limits, and kept for the next start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dockbell::config::PluginConfig;
use dockbell::plugin::{CompileLimits, Compiler, Filter, Plugin, Refused, Runtime};
use dockbell_tests::guests::{Guest, event};
use dockbell_tests::program::program;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

fn compiler(program: impl Into<PathBuf>) -> Compiler {
    Compiler::Child { program: program.into(), limits: CompileLimits::default() }
}

/// Loads the bundled filter.
fn load(compiler: Compiler, cache: Option<&Path>) -> Result<Arc<Plugin>, Refused> {
    Runtime::with(compiler, cache).unwrap().load("trouble", &PluginConfig::new("match"))
}

/// Whether the filter can be had without compiling anything.
fn is_cached(cache: &Path) -> bool {
    load(compiler("/bin/false"), Some(cache)).is_ok()
}

/// A folder with the compiled filter in it, and the path of its file.
fn filled() -> (TempDir, PathBuf) {
    let cache = tempfile::tempdir().unwrap();
    load(compiler(DOCKBELL), Some(cache.path())).unwrap();
    assert!(is_cached(cache.path()));
    let files = files(cache.path());
    assert_eq!(files.len(), 1, "{files:?}");
    let file = files[0].clone();
    (cache, file)
}

fn files(cache: &Path) -> Vec<PathBuf> {
    fs::read_dir(cache.join("components")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What `spoil` leaves behind is not run; it is compiled anew, and the next start has it again.
#[track_caller]
fn is_compiled_anew(what: &str, spoil: impl FnOnce(&Path)) {
    let (cache, file) = filled();
    spoil(&file);
    assert!(!is_cached(cache.path()), "{what}: it was used");
    load(compiler(DOCKBELL), Some(cache.path())).unwrap();
    assert!(is_cached(cache.path()), "{what}: it was not replaced");
    assert_eq!(files(cache.path()), [file], "{what}");
}

/// A program that runs this and nothing else; it is at hand as long as the folder.
fn script(folder: &TempDir, text: &str) -> Compiler {
    let path = folder.path().join("compiler");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    compiler(path)
}

#[track_caller]
fn assert_says(error: &Refused, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[tokio::test]
async fn a_plugin_that_a_process_compiled_works_and_the_second_start_compiles_nothing() {
    let cache = tempfile::tempdir().unwrap();
    for compiler in [compiler(DOCKBELL), compiler("/bin/false")] {
        let plugin = load(compiler, Some(cache.path())).unwrap();
        assert_eq!(Filter::start(plugin).await.unwrap().accept(&event()).await, Ok(true));
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache.path().join("components")), 0o700);
    assert_eq!(mode(&files(cache.path())[0]), 0o600);
}

#[test]
fn a_core_module_is_made_into_a_component_by_the_process() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), Guest::filter().module()).unwrap();
    let config = PluginConfig::new(&file.path().to_string_lossy());
    let plugin = Runtime::with(compiler(DOCKBELL), None).unwrap().load("guest", &config).unwrap();
    assert_eq!(plugin.bytes() as u64, file.path().metadata().unwrap().len());
}

#[test]
fn what_the_process_refuses_is_refused_with_its_reason() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut component = Guest::filter().component();
    component.truncate(component.len() / 2);
    fs::write(file.path(), &component).unwrap();
    let config = PluginConfig::new(&file.path().to_string_lossy());
    let refused = |compiler| Runtime::with(compiler, None).unwrap().load("guest", &config).unwrap_err().to_string();
    assert_eq!(refused(compiler(DOCKBELL)), refused(Compiler::InProcess));
}

#[test]
fn a_damaged_or_altered_file_is_compiled_anew() {
    let overwrite = |at: usize| {
        move |file: &Path| {
            let mut bytes = fs::read(file).unwrap();
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 1;
            fs::write(file, bytes).unwrap();
        }
    };
    is_compiled_anew("the first byte", overwrite(0));
    is_compiled_anew("in the middle", overwrite(100_000));
    is_compiled_anew("the checksum", overwrite(usize::MAX));
    for left in [0, 10, 16, 50_000] {
        is_compiled_anew("truncated", |file| {
            fs::OpenOptions::new().write(true).open(file).unwrap().set_len(left).unwrap();
        });
    }
    is_compiled_anew("more", |file| fs::write(file, [fs::read(file).unwrap(), vec![0]].concat()).unwrap());
}

#[test]
fn a_file_that_others_may_have_written_is_compiled_anew() {
    for mode in [0o666, 0o620, 0o602] {
        is_compiled_anew(&format!("{mode:o}"), |file| {
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        });
    }
    if is_root() {
        is_compiled_anew("another owner", |file| chown(file, Some(12345), None).unwrap());
    }
}

#[test]
fn what_is_no_file_is_compiled_anew_and_nothing_else_is_touched() {
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target");
    is_compiled_anew("a symbolic link", |file| {
        fs::rename(file, &target).unwrap();
        symlink(&target, file).unwrap();
    });
    assert!(target.metadata().unwrap().len() > 100_000, "the target of the link is as it was");
    is_compiled_anew("a pipe", |file| {
        fs::remove_file(file).unwrap();
        assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
    });
}

#[test]
fn a_folder_that_others_may_write_to_is_not_used() {
    type Spoiler = (&'static str, fn(&Path));
    let spoilers: [Spoiler; 4] = [
        ("writable for all", |folder| fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap()),
        ("writable for a group", |folder| fs::set_permissions(folder, fs::Permissions::from_mode(0o720)).unwrap()),
        ("a symbolic link", |folder| {
            let target = folder.with_extension("target");
            fs::rename(folder, &target).unwrap();
            symlink(target, folder).unwrap();
        }),
        ("another owner", |folder| chown(folder, Some(12345), None).unwrap()),
    ];
    for (what, spoil) in spoilers {
        if what == "another owner" && !is_root() {
            continue;
        }
        let (cache, file) = filled();
        spoil(&cache.path().join("components"));
        assert!(!is_cached(cache.path()), "{what}: it was used");
        fs::remove_file(&file).unwrap();
        load(compiler(DOCKBELL), Some(cache.path())).expect("without a cache it works as well");
        assert!(files(cache.path()).is_empty(), "{what}: it was written to");
    }
}

#[test]
fn a_folder_that_cannot_be_made_costs_only_the_cache() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for folder in [file.path(), Path::new("/proc/dockbell")] {
        load(compiler(DOCKBELL), Some(folder)).unwrap();
    }
}

/// The program with one filter, on a recording of nothing.
fn replay(folder: &TempDir) -> Vec<String> {
    let config = folder.path().join("dockbell.toml");
    fs::write(&config, "[plugins.trouble]\ncomponent = \"match\"\n[routes.default]\nfilters = [\"trouble\"]\n")
        .unwrap();
    ["replay", "/dev/null", "--config"].map(str::to_owned).into_iter().chain([config.display().to_string()]).collect()
}

#[test]
fn a_folder_that_can_only_be_read_is_read() {
    let flags: &[&str] = if is_root() { &["--mount"] } else { &["--mount", "--user", "--map-root-user"] };
    let mut unshare = Command::new("unshare");
    if !unshare.args(flags).arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("skipped: mounts of one's own (`unshare --mount`) are not allowed here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let readonly = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"";
    let start = || {
        let mut command = program("unshare");
        command.args(flags).args(["sh", "-c", readonly]).arg(cache.path()).arg(DOCKBELL).args(replay(&folder));
        let ended = command.env("DOCKBELL_CACHE", cache.path()).output().unwrap();
        let log = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{log}");
        log
    };
    let log = start();
    assert!(log.contains("no cache") && log.contains("Read-only file system") && log.contains("hint: "), "{log}");
    fs::create_dir(cache.path().join("components")).unwrap();
    fs::set_permissions(cache.path().join("components"), fs::Permissions::from_mode(0o700)).unwrap();
    let log = start();
    assert!(log.contains("cannot be kept in") && log.contains("Read-only file system"), "{log}");
    let writable = program(DOCKBELL).args(replay(&folder)).env("DOCKBELL_CACHE", cache.path()).status().unwrap();
    assert!(writable.success());
    let log = start();
    assert!(!log.contains("Read-only file system"), "what is there is used: {log}");
}

#[test]
fn two_programs_at_once_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let arguments = replay(&folder);
    let start =
        || program(DOCKBELL).args(&arguments).env("DOCKBELL_CACHE", cache.path()).stderr(Stdio::piped()).spawn();
    let programs: Vec<_> = (0..4).map(|_| start().unwrap()).collect();
    for program in programs {
        let ended = program.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && !log.contains("WARN"), "{log}");
    }
    assert!(is_cached(cache.path()));
    // The filter, and the formatter that a route has by default.
    assert_eq!(files(cache.path()).len(), 2, "{:?}", files(cache.path()));
}

#[test]
fn a_process_that_is_killed_is_said_and_the_next_start_compiles() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let killed = load(script(&folder, "kill -9 $$"), Some(cache.path())).unwrap_err();
    assert_says(&killed, &["plugin `trouble`", "killed (signal 9)", "\nhint: "]);
    assert!(files(cache.path()).is_empty());
    load(compiler(DOCKBELL), Some(cache.path())).unwrap();
}

#[test]
fn a_component_that_wants_too_much_memory_is_refused() {
    let limits = CompileLimits { memory: 12 << 20, ..CompileLimits::default() };
    let refused = load(Compiler::Child { program: DOCKBELL.into(), limits }, None).unwrap_err();
    assert_says(&refused, &["plugin `trouble`", "`match`", "12 MiB of memory", "\nhint: "]);
}

#[test]
fn a_component_that_takes_too_long_is_refused_and_its_process_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let Compiler::Child { program, .. } = script(&folder, &format!("echo $$ > '{}'\nexec sleep 600", pid.display()))
    else {
        unreachable!()
    };
    let limits = CompileLimits { time: Duration::from_millis(200), ..CompileLimits::default() };
    let began = Instant::now();
    let refused = load(Compiler::Child { program, limits }, None).unwrap_err();
    assert_says(&refused, &["plugin `trouble`", "`match`", "200 ms", "\nhint: "]);
    assert!(began.elapsed() < Duration::from_secs(60));
    let pid = fs::read_to_string(pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn a_compilation_that_takes_a_while_is_told_with_the_plugins_name_and_size() {
    // One subscriber for all threads: tracing remembers what nobody wants. The name tells whose line it is.
    tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).init();
    let folder = tempfile::tempdir().unwrap();
    let slow = script(&folder, &format!("sleep 1.5; exec '{DOCKBELL}' \"$@\""));
    let plugin = Runtime::with(slow, None).unwrap().load("slow", &PluginConfig::new("match")).unwrap();
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let mut lines = log.lines().filter(|line| line.contains("plugin=\"slow\""));
    let size = format!("compiling {} KiB", plugin.bytes().div_ceil(1024));
    // On a terminal a line that goes again stands for this one.
    if !std::io::stderr().is_terminal() {
        let begin = lines.next().expect("a line at the begin");
        assert!(begin.contains(&format!("{size}, which takes a moment")), "{log}");
    }
    let end = lines.next_back().expect("a line at the end");
    assert!(end.contains(&format!("{size} took ")), "{log}");
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to [`LOG`].
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn another_program_instead_of_the_compiler_is_noticed() {
    for answer in ["exit 0", "echo hello", "cat >/dev/null; exit 7"] {
        let folder = tempfile::tempdir().unwrap();
        let refused = load(script(&folder, answer), None).unwrap_err();
        assert_says(&refused, &["plugin `trouble`", "broke off", "\nhint: "]);
    }
}

#[test]
fn where_no_process_can_be_started_the_plugin_is_compiled_all_the_same() {
    load(compiler("/nowhere/dockbell"), None).unwrap();
}

#[test]
fn many_plugins_are_compiled_side_by_side() {
    let cache = tempfile::tempdir().unwrap();
    let runtime = Runtime::with(compiler(DOCKBELL), Some(cache.path())).unwrap();
    thread::scope(|scope| {
        for name in ["match", "email", "json", "match"] {
            let runtime = &runtime;
            scope.spawn(move || runtime.load(name, &PluginConfig::new(name)).unwrap());
        }
    });
    assert_eq!(files(cache.path()).len(), 3);
}
