//! JavaScript, by `componentize-qjs`: QuickJS and the author's modules in one component.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::{Files, Recipe, files, fixed};
use crate::cli::plugin::project::Project;
use crate::cli::plugin::tool;

pub(super) const RECIPE: Recipe = Recipe {
    name: "JavaScript",
    filter: files!(
        "templates/javascript/any": "package.json";
        "templates/javascript/filter": "README.md", "plugin.js", "plugin.test.js"
    ),
    formatter: files!(
        "templates/javascript/any": "package.json";
        "templates/javascript/formatter": "README.md", "plugin.js", "plugin.test.js"
    ),
    library: |_| Ok(fixed(LIBRARY)),
    build: |project| componentize(project, Path::new("plugin.js")),
};

/// The same for TypeScript: the types stand beside the code.
pub(super) const LIBRARY: Files = files!("templates/javascript/dockbell": "index.js", "index.d.ts", "sandbox.js");

/// Makes a component of a module, whose path is below the plugin's folder.
pub(super) fn componentize(project: &Project, module: &Path) -> anyhow::Result<Vec<u8>> {
    let component = project.work()?.join("component.wasm");
    let mut command = package_program(&project.folder, "componentize-qjs")?;
    command.args(["--wit", "dockbell/wit/v0.1", "--world", project.marker.kind.world(), "--module-root", ".", "--js"]);
    // Without `--sync` it would be a component for hosts with asynchronous exports.
    command.arg(module).args(["--stub-wasi", "--sync", "--output"]).arg(&component);
    tool::output(&mut command)?;
    fs::read(&component).with_context(|| format!("cannot read `{}`", component.display()))
}

/// A program of an npm package: of the plugin's own packages, of a folder's above it, or of the machine.
pub(super) fn package_program(folder: &Path, package: &str) -> anyhow::Result<Command> {
    ensure!(
        tool::find("node").is_some(),
        "`node`, which runs `{package}`, is not on the `PATH`\nhint: install Node.js 20 or newer, with npm"
    );
    let own = |folder: &Path| -> PathBuf { folder.join("node_modules/.bin").join(package) };
    let found = folder.ancestors().map(own).find(|path| path.is_file()).or_else(|| tool::find(package));
    let Some(program) = found else {
        let install = match fs::read_to_string(folder.join("package.json")) {
            Ok(packages) if packages.contains(package) => "npm install".to_owned(),
            _ => format!("npm install --save-dev {package}"),
        };
        bail!(
            "`{package}` is not there: neither in `{}` or above it, nor on the `PATH`\nhint: `{install}` in `{}` installs it",
            folder.join("node_modules").display(),
            folder.display()
        );
    };
    let mut command = Command::new(program);
    command.current_dir(folder);
    Ok(command)
}
