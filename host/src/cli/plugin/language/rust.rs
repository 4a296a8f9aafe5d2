//! Rust.

use super::Recipe;

pub(super) const RECIPE: Recipe = Recipe {
    name: "Rust",
    filter: &[],
    formatter: &[],
    library: |_| Ok(Vec::new()),
    build: |_| anyhow::bail!("dockbell cannot build Rust yet"),
};
