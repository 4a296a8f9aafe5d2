//! A component that is compiled, before it is decided whether it may run.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::compile::Binary;
use super::declared::Declared;

/// A compiled component and the bytes it was made of.
pub struct Compiled {
    pub(super) component: Component,
    pub(super) bytes: Cow<'static, [u8]>,
    pub(super) declared: Declared,
}

impl Compiled {
    /// What it exports and imports.
    #[must_use]
    pub const fn declared(&self) -> &Declared {
        &self.declared
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The SHA-256 digest of its bytes, in hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        format!("{:x}", Sha256::digest(&self.bytes))
    }

    /// Whether it came as a core module that carries its interface, which dockbell makes a component of.
    #[must_use]
    pub fn was_module(&self) -> bool {
        matches!(Binary::of(&self.bytes), Binary::Module)
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("bytes", &self.size())
            .field("declared", &self.declared)
            .finish_non_exhaustive()
    }
}
