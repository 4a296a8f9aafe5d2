//! What a compiled component depends on.

use std::hash::{Hash, Hasher};

use sha2::Digest;
use wasmtime::Engine;

use crate::config::Sha256;

/// The name of a compiled component: a digest of all that decides what its machine code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugin) struct Key(String);

impl Key {
    /// Of the digest of the component's bytes, wasmtime's version, settings and processor, and the version of this program.
    pub(in crate::plugin) fn of(engine: &Engine, component: Sha256) -> Self {
        let mut digest = Digester(sha2::Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        env!("CARGO_PKG_VERSION").hash(&mut digest);
        digest.0.update(component.as_bytes());
        Self(format!("{:x}", digest.0.finalize()))
    }

    /// The name of its file.
    pub(super) fn file(&self) -> String {
        format!("{}.{}", self.0, super::trim::KEPT)
    }
}

/// Lets what can only be hashed go into a digest that nobody can make collide.
struct Digester(sha2::Sha256);

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Never asked for: the digest is taken.
    fn finish(&self) -> u64 {
        0
    }
}
