//! Python.

use super::Recipe;

pub(super) const RECIPE: Recipe = Recipe {
    name: "Python",
    filter: &[],
    formatter: &[],
    library: |_| Ok(Vec::new()),
    build: |_| anyhow::bail!("dockbell cannot build Python yet"),
};
