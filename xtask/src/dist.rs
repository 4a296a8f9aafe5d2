//! `plugins/dist`: the bundled plugins as built components, committed so that a root build needs no wasm target.
//!
//! Beside the components stand `SHA256SUMS` (as `sha256sum` writes it) and `COMPILER`: the compiler and the linker that
//! built them, and a digest of the sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::plugins::{Toolchain, build, root};

const HINT: &str = "hint: run `cargo xtask dist` and commit `plugins/dist`";

/// WASI preview 1 for the plugins of others, in the text form of WebAssembly: its path, and its name in `plugins/dist`.
const PREVIEW1: (&str, &str) = ("plugins/preview1/preview1.wat", "preview1.wasm");

/// `cargo xtask dist`: builds the components and writes the folder.
pub(crate) fn write() -> Result<()> {
    // Stay with the recorded compiler where this machine has it, so that only what changed changes.
    let recorded = fs::read_to_string(folder().join("COMPILER")).ok();
    let toolchain =
        Toolchain::find(recorded.as_deref().and_then(|recorded| split(recorded).ok()).map(|(compiler, _)| compiler))?;
    let sources = sources_digest()?;
    let mut sums = String::new();
    fs::create_dir_all(folder()).with_context(|| format!("cannot make `{}`", folder().display()))?;
    for (name, component) in build(&toolchain)? {
        put(&format!("{name}.wasm"), &component)?;
        sums.push_str(&format!("{}  {name}.wasm\n", hex(&component)));
        println!("{:>7} bytes  plugins/dist/{name}.wasm", component.len());
    }
    let adapter = preview1()?;
    put(PREVIEW1.1, &adapter)?;
    sums.push_str(&format!("{}  {}\n", hex(&adapter), PREVIEW1.1));
    put("SHA256SUMS", sums.as_bytes())?;
    put("COMPILER", format!("{}sources: {sources}\n", toolchain.version()?).as_bytes())
}

/// `cargo xtask dist --check`: fails where the folder is not what the sources give.
pub(crate) fn check() -> Result<()> {
    for line in read_text("SHA256SUMS")?.lines() {
        let (sum, name) =
            line.split_once("  ").with_context(|| format!("`plugins/dist/SHA256SUMS` has a broken line: {line}"))?;
        ensure!(hex(&read(name)?) == sum, "`plugins/dist/{name}` is not the file that `SHA256SUMS` names\n{HINT}");
    }
    let recorded = read_text("COMPILER")?;
    let (compiler, sources) = split(&recorded)?;
    ensure!(
        sources_digest()? == sources,
        "`plugins/dist` was built from other sources than those in `plugins` and `wit/v0.1`\n{HINT}"
    );
    ensure!(
        read(PREVIEW1.1)? == preview1()?,
        "`plugins/dist/{}` is not what `{}` gives\n{HINT}",
        PREVIEW1.1,
        PREVIEW1.0
    );
    let toolchain = Toolchain::find(Some(compiler))?;
    let same_compiler = toolchain.version()? == compiler;
    let differing: Vec<_> = build(&toolchain)?
        .into_iter()
        .filter(|(name, component)| read(&format!("{name}.wasm")).ok().as_ref() != Some(component))
        .map(|(name, _)| format!("`plugins/dist/{name}.wasm`"))
        .collect();
    if differing.is_empty() {
        println!("plugins/dist: each component is byte for byte what the sources give");
    } else if same_compiler {
        bail!("{}: not what the sources give with the recorded compiler\n{HINT}", differing.join(", "));
    } else {
        println!(
            "plugins/dist: built from these very sources (by their digest). The recorded compiler is not on this machine, so \
             the bytes cannot be compared: the plugins' own tests decide (`cargo test` in `plugins`)."
        );
    }
    Ok(())
}

fn preview1() -> Result<Vec<u8>> {
    wat::parse_file(root().join(PREVIEW1.0)).with_context(|| format!("`{}` cannot be assembled", PREVIEW1.0))
}

/// The compiler and linker of a `COMPILER` file, and its digest of the sources.
fn split(recorded: &str) -> Result<(&str, &str)> {
    let (compiler, sources) = recorded
        .split_once("sources: ")
        .with_context(|| format!("`plugins/dist/COMPILER` names no sources\n{HINT}"))?;
    Ok((compiler, sources.trim()))
}

/// A digest of every file that decides what the plugins do, as git knows them (also those not yet committed).
fn sources_digest() -> Result<String> {
    let git = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .args(["--", "plugins", "wit/v0.1", ":!plugins/dist"])
        .output()
        .context("cannot run `git`")?;
    ensure!(git.status.success(), "`git ls-files` failed: {}", String::from_utf8_lossy(&git.stderr).trim());
    let list = String::from_utf8(git.stdout).context("a file's name is not UTF-8")?;
    let mut names: Vec<&str> = list.split('\0').filter(|name| root().join(name).is_file()).collect();
    names.sort_unstable();
    let mut digest = Sha256::new();
    for name in names {
        let content = fs::read(root().join(name)).with_context(|| format!("cannot read `{name}`"))?;
        digest.update(format!("{name}\0{}\0", content.len()));
        digest.update(content);
    }
    Ok(format!("sha256:{:x}", digest.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn folder() -> PathBuf {
    root().join("plugins/dist")
}

fn read(name: &str) -> Result<Vec<u8>> {
    let path = folder().join(Path::new(name));
    fs::read(&path).with_context(|| format!("cannot read `plugins/dist/{name}`\n{HINT}"))
}

fn read_text(name: &str) -> Result<String> {
    String::from_utf8(read(name)?).with_context(|| format!("`plugins/dist/{name}` is not text"))
}

fn put(name: &str, content: &[u8]) -> Result<()> {
    let path = folder().join(name);
    fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_a_compiler_is_read_as_it_was_written() {
        let recorded = "rustc 1.2.3\nhost: a\nlinker: LLD 4\nsources: sha256:00ff\n";
        assert_eq!(split(recorded).unwrap(), ("rustc 1.2.3\nhost: a\nlinker: LLD 4\n", "sha256:00ff"));
        assert!(split("rustc 1.2.3\n").unwrap_err().to_string().contains("hint: run `cargo xtask dist`"));
    }
}
