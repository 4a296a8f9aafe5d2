//! Python, by `componentize-py`: CPython and the author's modules in one component.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::{Recipe, files, fixed};
use crate::cli::plugin::project::Project;
use crate::cli::plugin::tool;

pub(super) const RECIPE: Recipe = Recipe {
    name: "Python",
    filter: files!(
        "templates/python/any": "requirements.txt";
        "templates/python/filter": "README.md", "plugin.py", "test_plugin.py"
    ),
    formatter: files!(
        "templates/python/any": "requirements.txt";
        "templates/python/formatter": "README.md", "plugin.py", "test_plugin.py"
    ),
    library: |_| Ok(fixed(files!("templates/python/dockbell": "__init__.py", "sandbox.py"))),
    build,
};

const COMPILER: &str = "componentize-py";

fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let component = project.work()?.join("component.wasm");
    let compiler = find(&project.folder)?;
    let mut command = Command::new(&compiler);
    command.current_dir(&project.folder);
    // Packages of the environment that the compiler is installed in come along.
    if let Some(environment) = environment_of(&compiler) {
        command.env("VIRTUAL_ENV", environment);
    }
    command.args(["--quiet", "--wit-path", "dockbell/wit/v0.1", "--world", project.marker.kind.world()]);
    command.args(["componentize", "plugin", "--stub-wasi", "--output"]).arg(&component);
    tool::run(&mut command)?;
    fs::read(&component).with_context(|| format!("cannot read `{}`", component.display()))
}

/// The compiler of the plugin's own environment, of the one that is active, or of the machine.
fn find(folder: &Path) -> anyhow::Result<PathBuf> {
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let own = folder.ancestors().map(|folder| folder.join(".venv"));
    let mut environments = own.chain(active).map(|environment| environment.join("bin").join(COMPILER));
    if let Some(compiler) = environments.find(|path| path.is_file()).or_else(|| tool::find(COMPILER)) {
        return Ok(compiler);
    }
    bail!(
        "`{COMPILER}`, which builds Python plugins, is not there: neither in `{}`, nor in an active environment, nor on the `PATH`\nhint: `python3 -m venv .venv && .venv/bin/pip install {}` in `{}` installs it",
        folder.join(".venv").display(),
        if folder.join("requirements.txt").is_file() { "--requirement requirements.txt" } else { COMPILER },
        folder.display()
    );
}

/// The virtual environment that a program is in.
fn environment_of(program: &Path) -> Option<&Path> {
    let environment = program.parent()?.parent()?;
    environment.join("pyvenv.cfg").is_file().then_some(environment)
}
