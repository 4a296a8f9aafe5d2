//! TypeScript: bundled to one JavaScript module by `esbuild`, then as JavaScript.

use std::path::Path;

use super::javascript::{LIBRARY, componentize, package_program};
use super::{Recipe, files, fixed};
use crate::cli::plugin::project::Project;
use crate::cli::plugin::tool;

pub(super) const RECIPE: Recipe = Recipe {
    name: "TypeScript",
    filter: files!(
        "templates/typescript/any": "package.json", "tsconfig.json";
        "templates/typescript/filter": "README.md", "plugin.ts", "plugin.test.ts"
    ),
    formatter: files!(
        "templates/typescript/any": "package.json", "tsconfig.json";
        "templates/typescript/formatter": "README.md", "plugin.ts", "plugin.test.ts"
    ),
    library: |_| Ok(fixed(LIBRARY)),
    build,
};

/// The one module that `esbuild` makes, below the plugin's folder.
const MODULE: &str = "target/plugin.js";

fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    project.work()?;
    let mut command = package_program(&project.folder, "esbuild")?;
    command.args(["plugin.ts", "--bundle", "--format=esm", "--platform=neutral", "--main-fields=module,main"]);
    // QuickJS knows ES2024; the interface is imported by dockbell's own names.
    command.args(["--target=es2024", "--external:dockbell:*", "--log-level=warning"]);
    command.arg(format!("--outfile={MODULE}"));
    tool::run(&mut command)?;
    componentize(project, Path::new(MODULE))
}
