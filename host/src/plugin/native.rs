//! Machine code becomes a component again: the only hand-written `unsafe` of the program.
#![allow(unsafe_code, reason = "wasmtime cannot know where machine code comes from")]

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that this program made, of which nobody else could change a bit.
///
/// Made in two places: out of a [`Compiler`](super::Compiler), which is this program, and out of the
/// [`Cache`](super::cache::Cache), which checks who could write the file and what is in it. Never out of a file that a
/// user names.
#[derive(Debug)]
pub(super) enum Trusted {
    /// As it was compiled.
    Compiled(Vec<u8>),
    /// A file of the cache, which is written once and then only removed. Something may stand behind the code.
    Kept(File),
}

impl Trusted {
    /// Loads the code. A file is mapped, as the program itself is: CPython has 33 MB of code, of which most is never looked at.
    ///
    /// # Errors
    /// When it was made by another version of wasmtime, with other settings, or for another processor.
    pub(super) fn load(self, engine: &Engine) -> wasmtime::Result<Component> {
        match self {
            Self::Compiled(code) => Self::copied(engine, &code),
            Self::Kept(mut file) => Self::mapped(engine, &file).or_else(|_| {
                // Of a file system that is mounted `noexec` nothing can be run where it lies.
                let mut code = Vec::new();
                file.read_to_end(&mut code)?;
                Self::copied(engine, &code)
            }),
        }
    }

    fn mapped(engine: &Engine, file: &File) -> wasmtime::Result<Component> {
        // The file that was checked, whatever is at its path by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: as below; and nobody changes the file while it is mapped: only this user could, and dockbell never does.
        unsafe { Component::deserialize_file(engine, path) }
    }

    fn copied(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: wasmtime asks for bytes that `Engine::precompile_component` made, unchanged. These come from there: see
        // the type. It checks its version, the settings and the processor by itself.
        unsafe { Component::deserialize(engine, code) }
    }
}
