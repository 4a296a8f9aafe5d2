//! Builds the bundled plugins: core modules by cargo, made into components here.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

mod toolchain;

use toolchain::TARGET;
pub(crate) use toolchain::Toolchain;

/// The bundled plugins, by the names that a configuration uses. The library of each is called `NAME_plugin`.
pub(crate) const NAMES: [&str; 3] = ["match", "email", "json"];

/// The folder that holds the root `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    // `cargo run` says where the checkout is now; the binary itself may have been built for another one.
    let here =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or_else(|| here.clone(), Path::to_path_buf)
}

/// `cargo xtask plugins`.
pub(crate) fn run() -> Result<()> {
    let toolchain = Toolchain::find(None)?;
    let folder = root().join("plugins/target/components");
    for (name, component) in build(&toolchain)? {
        let path = folder.join(format!("{name}.wasm"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        fs::write(&path, &component).with_context(|| format!("cannot write `{}`", path.display()))?;
        println!("{:>7} bytes  plugins/target/components/{name}.wasm", component.len());
    }
    Ok(())
}

/// The components, by name.
pub(crate) fn build(toolchain: &Toolchain) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let root = root().canonicalize().context("cannot find the workspace's folder")?;
    run_cargo(toolchain, &root, |cargo| cargo.args(["fetch", "--locked"]))?;
    let flags = flags(toolchain, &root)?;
    run_cargo(toolchain, &root, |cargo| {
        cargo
            .args(["build", "--release", "--locked", "--lib", "--target", TARGET, "--target-dir", "target"])
            .args(NAMES.map(|name| format!("--package={name}")))
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &toolchain.linker)
            .env("CARGO_ENCODED_RUSTFLAGS", flags);
        if toolchain.build_std {
            cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
        }
        cargo
    })?;

    let modules = root.join("plugins/target").join(TARGET).join("release");
    NAMES.iter().map(|&name| Ok((name, encode(&modules.join(format!("{name}_plugin.wasm")))?))).collect()
}

/// Runs cargo in the plugins' workspace. What the caller's environment says about its own build must not reach this one:
/// the same sources and compiler have to give the same bytes.
fn run_cargo(toolchain: &Toolchain, root: &Path, with: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let mut cargo = Command::new(&toolchain.cargo);
    for (name, _) in env::vars_os().filter(|(name, _)| is_build_setting(name)) {
        cargo.env_remove(name);
    }
    cargo.current_dir(root.join("plugins")).env("RUSTC", &toolchain.rustc);
    let status = with(&mut cargo).status().with_context(|| format!("cannot run `{}`", toolchain.cargo.display()))?;
    ensure!(status.success(), "the plugins do not build: {status}");
    Ok(())
}

fn is_build_setting(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let kept = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];
    (name.starts_with("CARGO") && !kept.iter().any(|prefix| name.starts_with(prefix)))
        || name.starts_with("RUSTC")
        || name == "RUSTFLAGS"
}

/// The compiler's flags, which keep this machine's paths out of the components.
fn flags(toolchain: &Toolchain, root: &Path) -> Result<OsString> {
    let registries = cargo_home()?.join("registry/src");
    // Below it stands one folder per registry, whose name is cargo's business. `cargo fetch` has made it.
    let registries = fs::read_dir(&registries).with_context(|| format!("cannot read `{}`", registries.display()))?;
    let mut replaced = vec![(toolchain.library.clone(), "rust"), (root.to_path_buf(), "dockbell")];
    let mut registries: Vec<_> = registries.flatten().map(|registry| (registry.path(), "crates")).collect();
    registries.sort_unstable();
    replaced.append(&mut registries);
    let mut flags = OsString::from("-Clinker-flavor=wasm-ld");
    for (path, name) in replaced {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(path);
        flags.push(format!("=/{name}"));
    }
    Ok(flags)
}

fn cargo_home() -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    home.context("cannot find cargo's folder\nhint: set `CARGO_HOME` or `HOME`")
}

/// Makes a component of a core module, which carries its interface, and looks that it can reach nothing but the log.
fn encode(path: &Path) -> Result<Vec<u8>> {
    let module = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| format!("`{}` does not make a component", path.display()))?;
    let decoded = wit_component::decode(&component)?;
    let resolve = decoded.resolve();
    for (_, world) in &resolve.worlds {
        for key in world.imports.keys() {
            let import = resolve.name_world_key(key);
            if !["dockbell:plugin/types@", "dockbell:plugin/logging@"].iter().any(|known| import.starts_with(known)) {
                bail!("`{}` imports `{import}`: a bundled plugin may import only the log", path.display());
            }
        }
    }
    Ok(component)
}
