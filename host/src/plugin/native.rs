//! Machine code becomes a component again: the only hand-written `unsafe` of the program.
#![allow(unsafe_code, reason = "wasmtime cannot know where machine code comes from")]

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that this program made, of which nobody else could change a bit.
///
/// Made in two places: out of a [`Compiler`](super::Compiler), which is this program, and out of the
/// [`Cache`](super::cache::Cache), which checks who could write the file and what is in it. Never out of a file that a
/// user names.
#[derive(Debug)]
pub(super) struct Trusted(pub(super) Vec<u8>);

impl Trusted {
    /// Loads the code. It is copied: what was checked is what runs, whatever becomes of the file.
    ///
    /// # Errors
    /// When it was made by another version of wasmtime, with other settings, or for another processor.
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: wasmtime asks for bytes that `Engine::precompile_component` made, unchanged. These come from there: see
        // the type. It checks its version, the settings and the processor by itself.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
