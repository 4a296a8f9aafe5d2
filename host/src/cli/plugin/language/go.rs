//! Go.

use super::Recipe;

pub(super) const RECIPE: Recipe = Recipe {
    name: "Go",
    filter: &[],
    formatter: &[],
    library: |_| Ok(Vec::new()),
    build: |_| anyhow::bail!("dockbell cannot build Go yet"),
};
