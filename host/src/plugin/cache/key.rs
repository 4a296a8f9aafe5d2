//! What a compiled component depends on.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use wasmtime::Engine;

/// The name of a compiled component: a digest of all that decides what its machine code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugin) struct Key(String);

impl Key {
    /// Of the component's bytes, wasmtime's version, settings and processor, and the version of this program.
    pub(in crate::plugin) fn of(engine: &Engine, bytes: &[u8]) -> Self {
        let mut digest = Digester(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        env!("CARGO_PKG_VERSION").hash(&mut digest);
        digest.0.update(Sha256::digest(bytes));
        Self(format!("{:x}", digest.0.finalize()))
    }

    /// The name of its file.
    pub(super) fn file(&self) -> String {
        format!("{}.{}", self.0, super::trim::KEPT)
    }
}

/// Lets what can only be hashed go into a digest that nobody can make collide.
struct Digester(Sha256);

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Never asked for: the digest is taken.
    fn finish(&self) -> u64 {
        0
    }
}
