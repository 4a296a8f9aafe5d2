//! The manifest of a component in a registry, as `wkg` and other tools of the Bytecode Alliance publish it: an OCI image
//! manifest whose config has a type of its own, and whose one layer is the component.

use serde::Deserialize;

use super::error::Failure;
use crate::config::Sha256;
use crate::plugin::LARGEST_COMPONENT;
use crate::text::one_line;

/// Most bytes of a manifest: 4 MiB, as the OCI distribution specification asks registries to take.
pub(super) const MOST_BYTES: u64 = 4 << 20;
/// What is asked for.
pub(super) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What tells a component from a container image.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// Bytes kept of a text of a registry in an error.
const MAX_TEXT: usize = 80;

/// What a manifest says about its component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manifest {
    pub component: Sha256,
    pub bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    media_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let not = |what: String| Failure::NoComponent(what);
        let image: Image =
            serde_json::from_slice(bytes).map_err(|error| not(format!("its manifest cannot be read: {error}")))?;
        if let Some(other) = image.media_type.filter(|kind| kind != IMAGE) {
            return Err(not(format!("it is `{}`, not one artifact", one_line(&other, MAX_TEXT))));
        }
        let config = image.config.ok_or_else(|| not("its manifest has no `config`".to_owned()))?;
        if config.media_type != CONFIG {
            return Err(not(format!("its config is `{}`, not `{CONFIG}`", one_line(&config.media_type, MAX_TEXT))));
        }
        let [layer] = &image.layers[..] else {
            return Err(not(format!("it has {} layers, not one", image.layers.len())));
        };
        if layer.media_type != LAYER {
            return Err(not(format!("its layer is `{}`, not `{LAYER}`", one_line(&layer.media_type, MAX_TEXT))));
        }
        if layer.size > LARGEST_COMPONENT {
            return Err(not(format!("it has {} bytes, more than the {LARGEST_COMPONENT} that are read", layer.size)));
        }
        let digest = layer.digest.strip_prefix("sha256:").and_then(|digest| digest.parse().ok());
        let component = digest.ok_or_else(|| not("the digest of its layer is no SHA-256".to_owned()))?;
        Ok(Self { component, bytes: layer.size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(media_type: &str, config: &str, layers: &[(&str, &str, u64)]) -> Vec<u8> {
        let layers: Vec<_> = layers
            .iter()
            .map(|(kind, digest, size)| serde_json::json!({"mediaType": kind, "digest": digest, "size": size}))
            .collect();
        let config = serde_json::json!({"mediaType": config, "digest": "sha256:00", "size": 2});
        serde_json::json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_manifest_names_its_component() {
        let digest = "ab".repeat(32);
        let bytes = manifest(IMAGE, CONFIG, &[(LAYER, &format!("sha256:{digest}"), 5)]);
        let read = Manifest::parse(&bytes).unwrap();
        assert_eq!((read.component.to_string(), read.bytes), (digest, 5));
    }

    #[test]
    fn what_is_no_component_is_refused_with_what_it_is() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let layer = (LAYER, digest.as_str(), 5);
        for (bytes, what) in [
            (b"<html>".to_vec(), "cannot be read"),
            (b"{}".to_vec(), "no `config`"),
            (manifest("application/vnd.oci.image.index.v1+json", CONFIG, &[layer]), "image.index"),
            (manifest(IMAGE, "application/vnd.oci.image.config.v1+json", &[layer]), "image.config"),
            (manifest(IMAGE, CONFIG, &[]), "0 layers"),
            (manifest(IMAGE, CONFIG, &[layer, layer]), "2 layers"),
            (manifest(IMAGE, CONFIG, &[("application/vnd.oci.image.layer.v1.tar", &digest, 5)]), "layer.v1.tar"),
            (manifest(IMAGE, CONFIG, &[(LAYER, "sha512:ab", 5)]), "no SHA-256"),
            (manifest(IMAGE, CONFIG, &[(LAYER, &digest, 1 << 40)]), "1099511627776 bytes"),
        ] {
            let refused = Manifest::parse(&bytes).unwrap_err().to_string();
            assert!(refused.contains(what), "{refused}");
        }
    }
}
