//! The package for Debian and what descends from it.
//!
//! It is packed by Debian's own `dpkg-deb`, which is there wherever such a package is made. `cargo-deb` does no more with these
//! files, and a new machine needs 106 s of CPU time to build it (measured on 2026-11-28), more than all that its packages are
//! tested with.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::tree::Tree;
use super::{Contents, Pack, VERSION, said};
use crate::commands::run;
use crate::plugins::root;

const MAINTAINER: &str = "The dockbell maintainers <maintainers@dockbell.invalid>";

const CONFIGURATION: &str = "etc/dockbell/dockbell.toml";

const DESCRIPTION: &str = "\
watches container engines and tells people what happened
 dockbell reads the events of Docker and Podman engines, and sends what
 matters by mail, webhook or chat: the first event at once, the rest in
 digests. Nothing is lost over restarts and outages, and what could not be
 read is reported. Filters and formatters are WebAssembly components that run
 in a sandbox.";

/// Makes the package in `folder`; returns its name.
pub(super) fn make(contents: &Contents, stage: &Path, folder: &Path, pack: Pack) -> Result<String> {
    let stage = stage.join("deb");
    let tree = files(contents)?;
    tree.write(&stage)?;
    let gzip = ["usr/share/doc/dockbell/changelog", "usr/share/man/man1/dockbell.1"];
    run(Command::new("gzip").args(["--no-name", "--best"]).args(gzip).current_dir(&stage))?;
    control(contents, &tree)?.write(&stage.join("DEBIAN"))?;
    let sums = stage.join("DEBIAN/md5sums");
    fs::write(&sums, md5sums(&stage)?).context("cannot write `md5sums`")?;
    // Debian marks a version before a release with `~`, which sorts before the end.
    let name = format!("dockbell_{}_{}.deb", VERSION.replace('-', "~"), contents.architecture);
    let mut command = Command::new("dpkg-deb");
    command.args(match pack {
        Pack::Tightly => ["-Zxz", "-z6"],
        Pack::Quickly => ["-Zgzip", "-z1"],
    });
    command.args(["--root-owner-group", "--build"]).arg(&stage).arg(folder.join(&name));
    // The newest time of an entry: what is newer gets it.
    run(command.env("SOURCE_DATE_EPOCH", &contents.epoch))?;
    Ok(name)
}

/// What is installed.
fn files(contents: &Contents) -> Result<Tree> {
    let read = |path: &str| fs::read(root().join(path)).with_context(|| format!("cannot read `{path}`"));
    let [bash, zsh, fish] = contents.completions.clone();
    let mut tree = Tree::default();
    tree.program("usr/bin/dockbell", &contents.program)?;
    tree.file("usr/lib/systemd/system/dockbell.service", read("packaging/dockbell.service")?);
    // Each line is a comment: it changes nothing until somebody does.
    let example = read("examples/dockbell.toml")?;
    tree.file(CONFIGURATION, example.clone());
    tree.file("usr/share/doc/dockbell/examples/dockbell.toml", example);
    tree.file("usr/share/doc/dockbell/README.md", read("README.md")?);
    tree.file("usr/share/doc/dockbell/LICENSE-APACHE", read("LICENSE-APACHE")?);
    tree.file("usr/share/doc/dockbell/LICENSE-MIT", read("LICENSE-MIT")?);
    tree.file("usr/share/doc/dockbell/copyright", copyright(&String::from_utf8_lossy(&read("LICENSE-MIT")?)));
    tree.file("usr/share/doc/dockbell/changelog", read("CHANGELOG.md")?);
    tree.file("usr/share/man/man1/dockbell.1", contents.man.clone());
    tree.file("usr/share/bash-completion/completions/dockbell", bash);
    tree.file("usr/share/zsh/vendor-completions/_dockbell", zsh);
    tree.file("usr/share/fish/vendor_completions.d/dockbell.fish", fish);
    Ok(tree)
}

/// What tells `dpkg` about them.
fn control(contents: &Contents, files: &Tree) -> Result<Tree> {
    let (version, size) = (VERSION.replace('-', "~"), files.bytes().div_ceil(1024));
    let (architecture, depends) = (&contents.architecture, depends(&contents.program)?);
    let mut tree = Tree::default();
    tree.file(
        "control",
        format!(
            "Package: dockbell\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {MAINTAINER}\n\
             Installed-Size: {size}\nDepends: {depends}\nRecommends: ca-certificates\nSection: admin\nPriority: optional\n\
             Description: {DESCRIPTION}\n"
        ),
    );
    tree.file("conffiles", format!("/{CONFIGURATION}\n"));
    for script in ["postinst", "prerm", "postrm"] {
        tree.script(script, fs::read(root().join("packaging").join(script))?);
    }
    Ok(tree)
}

/// The checksums by which `dpkg --verify` finds what has changed: of all files but those that are there to be changed.
fn md5sums(stage: &Path) -> Result<Vec<u8>> {
    let mut find = Command::new("find");
    let listed = said(find.args(["usr", "-type", "f"]).current_dir(stage))?;
    let listed = String::from_utf8(listed).context("a path is not UTF-8")?;
    let mut paths: Vec<&str> = listed.lines().collect();
    paths.sort_unstable();
    said(Command::new("md5sum").args(paths).current_dir(stage))
}

/// The packages that bring the libraries which the program is linked to, as new as the symbols in it want them.
fn depends(program: &Path) -> Result<String> {
    let headers = said(Command::new("objdump").arg("--private-headers").arg(program))?;
    depends_of(&String::from_utf8_lossy(&headers))
}

fn depends_of(headers: &str) -> Result<String> {
    let needed = headers.lines().filter_map(|line| line.trim().strip_prefix("NEEDED"));
    for library in needed.map(str::trim) {
        let known = ["libc.so.", "libm.so.", "libdl.so.", "libpthread.so.", "librt.so.", "ld-linux", "libgcc_s.so."];
        if !known.iter().any(|known| library.starts_with(known)) {
            bail!(
                "the program is linked to `{library}`\nhint: add the package that brings it to xtask/src/package/deb.rs"
            );
        }
    }
    let versions = headers.lines().filter_map(|line| line.split_whitespace().last());
    let (mut libc, mut libgcc) = (None, None);
    for version in versions {
        if let Some(version) = version.strip_prefix("GLIBC_") {
            // Relocations in the compact form, since glibc 2.36.
            let version = if version == "ABI_DT_RELR" { "2.36" } else { version };
            libc = libc.max(Some(numbers(version)?));
        } else if let Some(version) = version.strip_prefix("GCC_") {
            libgcc = libgcc.max(Some(numbers(version)?));
        }
    }
    let with = |package: &str, version: Option<Vec<u32>>| {
        let version = version?.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        Some(format!("{package} (>= {version})"))
    };
    let packages = [with("libc6", libc), with("libgcc-s1", libgcc)];
    Ok(packages.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn numbers(version: &str) -> Result<Vec<u32>> {
    version.split('.').map(str::parse).collect::<Result<_, _>>().with_context(|| {
        format!("`{version}` is no version of a library\nhint: say in xtask/src/package/deb.rs which one has it")
    })
}

/// The licences in Debian's form, which refers to its own copy of the Apache licence.
fn copyright(mit: &str) -> String {
    let holder = mit.lines().find_map(|line| line.strip_prefix("Copyright (c) ")).unwrap_or_default();
    let terms = mit.lines().skip_while(|line| !line.starts_with("Permission"));
    let terms = terms.map(|line| if line.is_empty() { " .\n".to_owned() } else { format!(" {line}\n") });
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: dockbell\n\n\
         Files: *\nCopyright: {holder}\nLicense: MIT or Apache-2.0\n\n\
         License: MIT\n{}\n\
         License: Apache-2.0\n On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n",
        terms.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbols_say_how_new_the_libraries_must_be() {
        let headers = "  NEEDED               libgcc_s.so.1\n  NEEDED               libc.so.6\n\
                       Version References:\n  required from libgcc_s.so.1:\n    0x0b792650 0x00 04 GCC_3.0\n\
                           0x09276060 0x00 27 GCC_4.2.0\n  required from libc.so.6:\n    0x09691a75 0x00 03 GLIBC_2.2.5\n\
                           0x069691b4 0x00 11 GLIBC_2.34\n    0x06969189 0x00 07 GLIBC_2.9\n";
        assert_eq!(depends_of(headers).unwrap(), "libc6 (>= 2.34), libgcc-s1 (>= 4.2.0)");
    }

    #[test]
    fn a_library_that_no_known_package_brings_is_refused() {
        let error = depends_of("  NEEDED               libssl.so.3\n").unwrap_err().to_string();
        assert!(error.contains("`libssl.so.3`") && error.contains("hint: "), "{error}");
    }
}
