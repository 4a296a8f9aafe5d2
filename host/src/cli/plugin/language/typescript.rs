//! TypeScript.

use super::Recipe;

pub(super) const RECIPE: Recipe = Recipe {
    name: "TypeScript",
    filter: &[],
    formatter: &[],
    library: |_| Ok(Vec::new()),
    build: |_| anyhow::bail!("dockbell cannot build TypeScript yet"),
};
