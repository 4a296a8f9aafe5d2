//! C.

use super::Recipe;

pub(super) const RECIPE: Recipe = Recipe {
    name: "C",
    filter: &[],
    formatter: &[],
    library: |_| Ok(Vec::new()),
    build: |_| anyhow::bail!("dockbell cannot build C yet"),
};
