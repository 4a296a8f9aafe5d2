//! Zig.

use super::Recipe;

pub(super) const RECIPE: Recipe = Recipe {
    name: "Zig",
    filter: &[],
    formatter: &[],
    library: |_| Ok(Vec::new()),
    build: |_| anyhow::bail!("dockbell cannot build Zig yet"),
};
