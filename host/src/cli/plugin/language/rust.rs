//! Rust: rustup's with the library for WebAssembly, else Debian's, which must build that library.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::{Recipe, files, fixed};
use crate::cli::plugin::project::Project;
use crate::cli::plugin::tool;

pub(super) const RECIPE: Recipe = Recipe {
    name: "Rust",
    filter: files!("templates/rust/filter": "Cargo.toml", "README.md", "src/lib.rs"),
    formatter: files!("templates/rust/formatter": "Cargo.toml", "README.md", "src/lib.rs"),
    library: |_| {
        let mut sdk = fixed(
            files!("../plugins/sdk": "Cargo.toml", "src/arena.rs", "src/bindings.rs", "src/event.rs", "src/export.rs", "src/lib.rs", "src/packed.rs", "src/state.rs", "src/text.rs", "src/time.rs"),
        );
        // From there it finds the interface at the same place as in dockbell's own repository.
        sdk.iter_mut().for_each(|file| file.path = Path::new("crates/sdk").join(&file.path));
        Ok(sdk)
    },
    build,
};

const TARGET: &str = "wasm32-unknown-unknown";
/// Where Debian has the sources of the standard library, and its Rust.
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/Cargo.lock";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    // One for several plugins saves building the standard library for each.
    let target = match env::var_os("CARGO_TARGET_DIR") {
        Some(shared) => env::current_dir()?.join(shared),
        None => project.work()?,
    };
    let mut cargo = cargo()?;
    cargo.current_dir(&project.folder).args(["build", "--release", "--lib", "--target", TARGET]);
    tool::run(cargo.arg("--target-dir").arg(&target))?;
    let library = format!("{}.wasm", project.marker.name.as_str().replace('-', "_"));
    let path = target.join(TARGET).join("release").join(library);
    std::fs::read(&path).with_context(|| {
        format!(
            "cannot read `{}`\nhint: the package in `Cargo.toml` must have the name that `dockbell-plugin.toml` gives",
            path.display()
        )
    })
}

/// A cargo that can build for WebAssembly.
fn cargo() -> anyhow::Result<Command> {
    let sysroot = tool::find("rustc").and_then(|rustc| {
        let path = tool::output(Command::new(rustc).args(["--print", "sysroot"])).ok()?;
        Some(PathBuf::from(path.trim()))
    });
    if let Some(sysroot) = &sysroot
        && sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
    {
        return Ok(Command::new("cargo"));
    }
    let is_debian = [DEBIAN_LIBRARY, DEBIAN_CARGO, DEBIAN_RUSTC].iter().all(|file| Path::new(file).is_file());
    match sysroot.as_deref().and_then(rust_lld).or_else(wasm_ld) {
        Some(linker) if is_debian => {
            let mut cargo = Command::new(DEBIAN_CARGO);
            // What a cargo around this one has set is about another Rust.
            for name in ["CARGO", "RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
                cargo.env_remove(name);
            }
            cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Clinker-flavor=wasm-ld");
            Ok(cargo)
        }
        _ => bail!(
            "no Rust for {TARGET} was found\nhint: `rustup target add {TARGET}`, or on Debian `apt-get install rustc-web cargo-web rust-web-src lld`"
        ),
    }
}

/// rustup's linker.
fn rust_lld(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    hosts.flatten().map(|host| host.path().join("bin/rust-lld")).find(|path| path.is_file())
}

/// Debian's linker, with or without a version in its name.
fn wasm_ld() -> Option<PathBuf> {
    let named = |folder: PathBuf| {
        let names = std::fs::read_dir(folder).ok()?.flatten().map(|file| file.path());
        names.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wasm-ld"))).max()
    };
    env::split_paths(&env::var_os("PATH")?).find_map(named)
}
