//! Finds a Rust that can build for wasm32-unknown-unknown, or installs one from Debian's packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// What the plugins are built for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's Rust for browsers: it has no library built for wasm, but its sources.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
/// For a machine where no Rust has brought `rust-lld` along.
const DEBIAN_LINKER: &str = "lld-19";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust";

/// A Rust that can build the plugins.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    /// Its `cargo`.
    pub(crate) cargo: PathBuf,
    /// Its `rustc`.
    pub(crate) rustc: PathBuf,
    /// `rust-lld` or `wasm-ld`.
    pub(crate) linker: PathBuf,
    /// Where the sources of the standard library are.
    pub(crate) library: PathBuf,
    /// Whether the standard library must be built as well.
    pub(crate) build_std: bool,
}

impl Toolchain {
    /// The toolchain whose [`version`](Self::version) is `wanted`, if there is one, else any; installs Debian's when
    /// there is none.
    pub(crate) fn find(wanted: Option<&str>) -> Result<Self> {
        let mut found: Vec<Self> = [Self::rustup()?, Self::debian()?].into_iter().flatten().collect();
        if found.is_empty() {
            install()?;
            found.extend(Self::debian()?);
        }
        for toolchain in &found {
            if Some(toolchain.version()?.as_str()) == wanted {
                return Ok(toolchain.clone());
            }
        }
        found
            .into_iter()
            .next()
            .with_context(|| format!("no Rust for {TARGET} was found after its packages were installed"))
    }

    /// What decides the bytes beside the sources: the compiler (`rustc -vV`) and the linker.
    pub(crate) fn version(&self) -> Result<String> {
        let compiler = output(&self.rustc, &["-vV"])?;
        let linker = output(&self.linker, &["-flavor", "wasm", "--version"])
            .or_else(|_| output(&self.linker, &["--version"]))?;
        Ok(format!("{}\nlinker: {}\n", compiler.trim(), linker.trim()))
    }

    /// The Rust that the user works with, if it has the target's library (`rustup target add`).
    fn rustup() -> Result<Option<Self>> {
        let sysroot = sysroot()?;
        let Some(linker) = rust_lld(&sysroot) else { return Ok(None) };
        if !sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            return Ok(None);
        }
        let (cargo, rustc) = (sysroot.join("bin/cargo"), sysroot.join("bin/rustc"));
        Ok(Some(Self { cargo, rustc, linker, library: sysroot.join("lib/rustlib/src/rust"), build_std: false }))
    }

    /// Debian's Rust with the sources of its library.
    fn debian() -> Result<Option<Self>> {
        let library = Path::new(DEBIAN_LIBRARY);
        let (cargo, rustc) = (PathBuf::from("/usr/bin/cargo"), PathBuf::from("/usr/bin/rustc"));
        if !(library.join("library/Cargo.lock").is_file() && cargo.is_file() && rustc.is_file()) {
            return Ok(None);
        }
        let linker = rust_lld(&sysroot()?).or_else(wasm_ld).with_context(|| {
            format!("no linker for {TARGET} was found\nhint: `rust-lld` comes with rustup's Rust, `wasm-ld` with Debian's package `{DEBIAN_LINKER}`")
        })?;
        let library = library.to_path_buf();
        Ok(Some(Self { cargo, rustc, linker, library, build_std: true }))
    }
}

/// Where the Rust that the user works with is installed.
fn sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(output(Path::new("rustc"), &["--print", "sysroot"])?.trim()))
}

fn rust_lld(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    hosts.flatten().map(|host| host.path().join("bin/rust-lld")).find(|path| path.is_file())
}

fn wasm_ld() -> Option<PathBuf> {
    ["wasm-ld", "wasm-ld-22", "wasm-ld-21", "wasm-ld-20", "wasm-ld-19"]
        .into_iter()
        .map(|name| Path::new("/usr/bin").join(name))
        .find(|path| path.is_file())
}

fn install() -> Result<()> {
    let mut packages = DEBIAN_PACKAGES.to_vec();
    if sysroot().ok().as_deref().and_then(rust_lld).or_else(wasm_ld).is_none() {
        packages.push(DEBIAN_LINKER);
    }
    let hint = format!("hint: run `rustup target add {TARGET}`, or `sudo apt-get install {}`", packages.join(" "));
    eprintln!("no Rust for {TARGET} is installed: installing Debian's packages {}", packages.join(" "));
    let install = [&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat();
    for arguments in [&["update"][..], &install] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
            .with_context(|| format!("cannot run `apt-get`\n{hint}"))?;
        ensure!(status.success(), "`apt-get {}` failed: {status}\n{hint}", arguments.join(" "));
    }
    Ok(())
}

fn output(program: &Path, arguments: &[&str]) -> Result<String> {
    let shown = format!("`{} {}`", program.display(), arguments.join(" "));
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!("{shown} failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} wrote no text"))
}
