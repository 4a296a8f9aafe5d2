//! A component that is compiled, before it is decided whether it may run.

use std::fmt;

use wasmtime::component::Component;

use super::compile::Binary;
use super::component::Source;
use super::declared::Declared;
use crate::config::Sha256;

/// A compiled component and the bytes it was made of.
pub struct Compiled {
    pub(super) component: Component,
    pub(super) source: Source,
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
        self.source.bytes.len()
    }

    /// The digest of its bytes.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.source.digest
    }

    /// Whether it came as a core module that carries its interface, which dockbell makes a component of.
    #[must_use]
    pub fn was_module(&self) -> bool {
        matches!(Binary::of(&self.source.bytes), Binary::Module)
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
