//! JavaScript.

use super::Recipe;

pub(super) const RECIPE: Recipe = Recipe {
    name: "JavaScript",
    filter: &[],
    formatter: &[],
    library: |_| Ok(Vec::new()),
    build: |_| anyhow::bail!("dockbell cannot build JavaScript yet"),
};
