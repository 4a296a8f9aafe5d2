//! Components that are named by where they are in a registry: fetched once, kept, and checked each time.
//!
//! The configuration pins the digest of the manifest, and the manifest that of the component. Nothing else is believed: not
//! the registry, not what is between, not the folder in which things are kept.

mod challenge;
mod error;
mod login;
mod manifest;
mod registry;
mod shelf;

use crate::config::{Config, PluginConfig, Reference, RouteConfig};

pub use error::FetchError;
use manifest::Manifest;
use registry::Registry;
pub use shelf::Shelf;

/// Makes files of all components of a configuration that are in registries: fetches what is not on the shelf yet. The
/// answer is the same configuration with the paths and digests of these files. What no start has wanted for 90 days is removed.
///
/// # Errors
/// One that is not on the shelf and cannot be fetched, or is another one than the digest says.
pub async fn fetch(config: &Config, shelf: &Shelf) -> Result<Config, FetchError> {
    let mut config = config.clone();
    let used: Vec<String> = config.routes.values().flat_map(RouteConfig::plugins).cloned().collect();
    for (name, plugin) in config.plugins.iter_mut().filter(|(name, _)| used.contains(name)) {
        if let Some(reference) = plugin.reference() {
            take(name, plugin, &reference, shelf)
                .await
                .map_err(|failure| FetchError::new(name, &reference, failure))?;
        }
    }
    shelf.tidy();
    Ok(config)
}

async fn take(
    name: &str,
    plugin: &mut PluginConfig,
    reference: &Reference,
    shelf: &Shelf,
) -> Result<(), error::Failure> {
    let Some(digest) = reference.digest() else {
        return Err(Registry::open(reference, plugin)?.name_digest().await);
    };
    // Without a registry where everything is here: it may be out of reach.
    let kept = shelf.get(digest, manifest::MOST_BYTES);
    let (manifest, registry) = match &kept {
        Some(bytes) => (Manifest::parse(bytes)?, None),
        None => {
            let mut registry = Registry::open(reference, plugin)?;
            let bytes = registry.manifest(digest).await?;
            let manifest = Manifest::parse(&bytes)?;
            shelf.put(digest, &bytes)?;
            (manifest, Some(registry))
        }
    };
    if !shelf.has(manifest.component, manifest.bytes) {
        tracing::info!(plugin = name, "fetching `{reference}`, {} KiB", manifest.bytes.div_ceil(1024));
        let mut registry = match registry {
            Some(registry) => registry,
            None => Registry::open(reference, plugin)?,
        };
        shelf.put(manifest.component, &registry.blob(&manifest).await?)?;
    }
    plugin.component = shelf.path(manifest.component)?.to_string_lossy().into_owned();
    plugin.sha256 = Some(manifest.component);
    Ok(())
}
