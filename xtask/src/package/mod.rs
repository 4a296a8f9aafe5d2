//! `cargo xtask package`: makes what people install, a `.tar.gz` and a `.deb`, with their checksums.
//!
//! The same sources and program give the same bytes: entries are sorted and belong to root, and their time is
//! `SOURCE_DATE_EPOCH`, by default that of the last commit.

mod deb;
mod tree;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use self::tree::Tree;
use crate::commands::{cargo, here, run};
use crate::plugins::root;
use crate::tools;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `cargo xtask package [--program FILE]`.
pub(crate) fn command(arguments: &[&str]) -> Result<()> {
    let program = match arguments {
        [] => {
            run(&mut cargo(&["build", "--release", "--locked", "--package", "dockbell"]))?;
            tools::target().join("release/dockbell")
        }
        ["--program", file] => fs::canonicalize(file).with_context(|| format!("cannot find `{file}`"))?,
        _ => bail!("unknown arguments: `{}`\nhint: `cargo xtask package [--program FILE]`", arguments.join(" ")),
    };
    let folder = tools::target().join("packages");
    make(&program, &folder, Pack::Tightly)?;
    println!("{}", folder.display());
    print!("{}", fs::read_to_string(folder.join("SHA256SUMS"))?);
    Ok(())
}

/// How much time packing may take.
#[derive(Clone, Copy)]
pub(crate) enum Pack {
    /// For people who download it.
    Tightly,
    /// For a test.
    Quickly,
}

/// Makes the packages of a program in `folder`, which is emptied before.
pub(crate) fn make(program: &Path, folder: &Path, pack: Pack) -> Result<()> {
    tools::need_all(&[("dpkg-deb", "dpkg"), ("objdump", "binutils")])?;
    let contents = Contents::of(program)?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty `{}`", folder.display()))?;
    }
    let stage = folder.join("stage");
    let packages = [archive(&contents, &stage, folder, pack)?, deb::make(&contents, &stage, folder, pack)?];
    fs::remove_dir_all(&stage)?;
    let mut sums = String::new();
    for package in &packages {
        let digest = Sha256::digest(fs::read(folder.join(package))?);

        sums.push_str(&format!("{digest:x}  {package}\n"));
    }
    fs::write(folder.join("SHA256SUMS"), sums).context("cannot write `SHA256SUMS`")
}

/// What both packages hold.
struct Contents {
    program: PathBuf,
    /// Debian's name of the machine that the program is for, such as `amd64`.
    architecture: String,
    /// The time of all entries, in seconds since 1970.
    epoch: String,
    man: Vec<u8>,
    /// Scripts for bash, zsh and fish.
    completions: [Vec<u8>; 3],
}

impl Contents {
    fn of(program: &Path) -> Result<Self> {
        Ok(Self {
            program: program.to_owned(),
            architecture: line(Command::new("dpkg").arg("--print-architecture"))?,
            epoch: epoch()?,
            man: said(Command::new(program).arg("man"))?,
            completions: [
                said(Command::new(program).args(["completions", "bash"]))?,
                said(Command::new(program).args(["completions", "zsh"]))?,
                said(Command::new(program).args(["completions", "fish"]))?,
            ],
        })
    }
}

/// Makes the `.tar.gz` for every other distribution; returns its name.
fn archive(contents: &Contents, stage: &Path, folder: &Path, pack: Pack) -> Result<String> {
    let top = format!("dockbell-{VERSION}");
    let mut tree = Tree::default();
    tree.program("dockbell", &contents.program)?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        tree.file(file, fs::read(root().join(file))?);
    }
    tree.file("dockbell.toml", fs::read(root().join("examples/dockbell.toml"))?);
    tree.file("dockbell.service", fs::read(root().join("packaging/dockbell.service"))?);
    tree.file("man/dockbell.1", contents.man.clone());
    for (name, script) in ["dockbell.bash", "_dockbell", "dockbell.fish"].into_iter().zip(&contents.completions) {
        tree.file(format!("completions/{name}"), script.clone());
    }
    tree.write(&stage.join(&top))?;
    let name = format!("{top}-linux-{}.tar", contents.architecture);
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime=@{}", contents.epoch)).arg("--file").arg(folder.join(&name));
    run(tar.arg("--directory").arg(stage).arg(&top))?;
    let level = match pack {
        Pack::Tightly => "--best",
        Pack::Quickly => "--fast",
    };
    run(Command::new("gzip").args(["--no-name", level]).arg(folder.join(&name)))?;
    Ok(format!("{name}.gz"))
}

fn epoch() -> Result<String> {
    if let Ok(epoch) = env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    line(here("git".as_ref()).args(["log", "-1", "--format=%ct"]))
        .context("the time of the last commit is not known\nhint: set `SOURCE_DATE_EPOCH`, in seconds since 1970")
}

/// Returns the one line that a command prints.
fn line(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(said(command)?).context("the answer is not UTF-8")?.trim().to_owned())
}

/// Returns what a command prints.
fn said(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run `{name}`"))?;
    if !output.status.success() {
        bail!("`{name}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}
