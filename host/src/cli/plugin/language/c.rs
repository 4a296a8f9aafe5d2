//! C, by Zig's compiler or by clang with wasi-libc.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::zig;
use super::{Recipe, files, fixed};
use crate::cli::plugin::project::{Kind, Project};
use crate::cli::plugin::{component, tool};

pub(super) const RECIPE: Recipe = Recipe {
    name: "C",
    filter: files!("templates/c/filter": "README.md", "plugin.c", "test.c"),
    formatter: files!("templates/c/formatter": "README.md", "plugin.c", "test.c"),
    library: |_| Ok(fixed(files!("templates/c/dockbell": "config.c", "dockbell.c", "dockbell.h"))),
    build,
};

/// Where Debian's wasi-libc is.
const SYSROOT: &str = "/usr/include/wasm32-wasi";

/// Bytes of the stack; it lies below the data, so that an overflow traps.
pub(super) const STACK: &str = "131072";

fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let out = project.work()?.join("plugin.wasm");
    let mut compiler = compiler()?;
    compiler.current_dir(&project.folder).args(["-mexec-model=reactor", "-O2", "-Wall", "-Idockbell", "-s"]);
    compiler.arg(format!("-Wl,-z,stack-size={STACK}"));
    if project.marker.kind == Kind::Filter {
        compiler.arg("-DDOCKBELL_FILTER");
    }
    tool::run(compiler.arg("-o").arg(&out).args(sources(&project.folder)?))?;
    component::described(&out, project.marker.kind)
}

/// Zig brings a C library for WebAssembly along; clang needs Debian's.
fn compiler() -> anyhow::Result<Command> {
    if let Some(mut zig) = zig::find() {
        zig.args(["cc", "-target", "wasm32-wasi"]);
        return Ok(zig);
    }
    if let (Some(clang), true) = (tool::find("clang"), Path::new(SYSROOT).is_dir()) {
        let mut clang = Command::new(clang);
        clang.args(["--target=wasm32-wasi", "-Wl,--stack-first"]);
        return Ok(clang);
    }
    bail!(
        "no C compiler for WebAssembly was found\nhint: `pip install ziglang`, or on Debian `apt-get install clang lld wasi-libc libclang-rt-dev-wasm32`"
    )
}

/// The library, and the author's files but for the tests.
fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for below in ["", "dockbell"] {
        let files = std::fs::read_dir(folder.join(below))
            .with_context(|| format!("cannot read `{}`", folder.join(below).display()))?;
        let names = files.flatten().map(|file| Path::new(below).join(file.file_name()));
        let is_source = |name: &PathBuf| {
            let text = name.to_string_lossy();
            text.ends_with(".c") && !text.starts_with("test")
        };
        sources.extend(names.filter(is_source));
    }
    sources.sort();
    Ok(sources)
}
