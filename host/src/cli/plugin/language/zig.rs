//! Zig.

use std::env;
use std::process::Command;

use anyhow::Context;

use super::{Recipe, c, files, fixed};
use crate::cli::plugin::project::Project;
use crate::cli::plugin::{component, tool};

pub(super) const RECIPE: Recipe = Recipe {
    name: "Zig",
    filter: files!("templates/zig/filter": "README.md", "plugin.zig"),
    formatter: files!("templates/zig/formatter": "README.md", "plugin.zig"),
    library: |_| Ok(fixed(files!("templates/zig/dockbell": "dockbell.zig"))),
    build,
};

/// Names the program `zig`, where neither the `PATH` nor Python knows it.
const ZIG: &str = "DOCKBELL_ZIG";

fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let out = project.work()?.join("plugin.wasm");
    let mut zig = find().context(
        "Zig was not found\nhint: `pip install ziglang`, or put `zig` 0.17 on the PATH or name it in `DOCKBELL_ZIG`",
    )?;
    zig.current_dir(&project.folder);
    zig.args([
        "build-exe",
        "-target",
        "wasm32-freestanding",
        "-O",
        "ReleaseSmall",
        "-fno-entry",
        "-rdynamic",
        "-fstrip",
    ]);
    zig.args(["--stack", c::STACK]).arg(format!("-femit-bin={}", out.display()));
    tool::run(zig.args(["--dep", "dockbell", "-Mroot=plugin.zig", "-Mdockbell=dockbell/dockbell.zig"]))?;
    component::described(&out, project.marker.kind)
}

/// `zig`, wherever it is.
pub(super) fn find() -> Option<Command> {
    if let Some(named) = env::var_os(ZIG).filter(|named| !named.is_empty()) {
        return Some(Command::new(named));
    }
    if let Some(zig) = tool::find("zig") {
        return Some(Command::new(zig));
    }
    let mut python = Command::new(tool::find("python3")?);
    python.args(["-c", "import ziglang"]);
    if !tool::succeeds(&mut python) {
        return None;
    }
    let mut zig = Command::new(python.get_program());
    zig.args(["-m", "ziglang"]);
    Some(zig)
}
