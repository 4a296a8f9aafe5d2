//! From a component to machine code, in a process of its own where there is a program for it.
//!
//! Cranelift wants much memory for a moment and leaves it to the allocator for ever, and a hostile component can make it
//! want more. A child process gives all of it back at its end, and its limits hold.

mod child;
mod compiling;
mod process;
mod progress;

use std::path::PathBuf;
use std::time::Duration;

use wasmtime::Engine;

pub use child::compile_component;
pub(super) use compiling::Compiling;

/// The hidden subcommand that a [`Compiler::Child`] is started with; [`compile_component`] does its work.
pub const COMPILE_COMPONENT: &str = "compile-component";

/// Where components are compiled.
#[derive(Debug, Clone, Default)]
pub enum Compiler {
    /// In this process, without limits: for those who are not the program `dockbell`, such as tests.
    #[default]
    InProcess,
    /// By a process of its own for each component.
    Child {
        /// A program that calls [`compile_component`] when its first argument is [`COMPILE_COMPONENT`].
        program: PathBuf,
        /// What one component may cost.
        limits: CompileLimits,
    },
}

/// What compiling one component may cost; a component that wants more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of memory that the process may write to (`RLIMIT_DATA`). Default 2 GiB; CPython, the largest component known
    /// (18 MB), takes 350 MiB on 2 cores.
    pub memory: u64,
    /// Processor time of all threads together, in whole seconds (`RLIMIT_CPU`). Default 2 min; CPython takes 4.5 s on 2
    /// cores. By the clock it may take ten times that: other programs want the processor, too.
    pub time: Duration,
}

/// Why there is no machine code.
#[derive(Debug)]
pub(super) enum CompileError {
    /// It is no component: this is why.
    Unfit(String),
    /// It wanted more memory than it may have.
    Memory(u64),
    /// It wanted more time than it may have.
    Time(Duration),
    /// The program stops, and nobody wants the result any more.
    Stopped,
    /// The compiler did not come to an end by itself.
    Crashed(String),
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { memory: 2 << 30, time: Duration::from_secs(120) }
    }
}

impl Compiler {
    /// For the program `dockbell` itself: it is started again, the very file that runs, even where it was replaced since.
    #[must_use]
    pub fn this_program() -> Self {
        Self::Child { program: PathBuf::from("/proc/self/exe"), limits: CompileLimits::default() }
    }

    /// The machine code of a component, or of a core module that carries its interface, as wasmtime loads it. A process that
    /// compiles is ended when `compiling` is stopped.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        plugin: &str,
        bytes: &[u8],
        compiling: &Compiling,
    ) -> Result<Vec<u8>, CompileError> {
        if let Self::Child { program, limits } = self {
            let Some(_process) = compiling.begin() else { return Err(CompileError::Stopped) };
            match process::start(program, *limits) {
                Ok(child) => return process::compile(child, *limits, plugin, bytes, compiling),
                // Where no process can be started (a limit of tasks, no `/proc`), a plugin that works without limits is
                // better than none: it was the operator who named it.
                Err(error) => tracing::warn!(
                    plugin,
                    "cannot start `{}`: {error}; the plugin is compiled without limits",
                    program.display()
                ),
            }
        }
        machine_code(engine, bytes).map_err(CompileError::Unfit)
    }
}

/// Compiles in this process.
fn machine_code(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let encoded;
    let binary = match Binary::of(bytes) {
        Binary::Component => bytes,
        Binary::Module => {
            encoded = encode(bytes).map_err(|error| format!("it is a core module, and {error:#}"))?;
            &encoded
        }
        Binary::Other(what) => return Err(what.to_owned()),
    };
    engine.precompile_component(binary).map_err(|error| format!("{error:#}"))
}

/// What the first bytes say.
pub(super) enum Binary {
    Component,
    Module,
    Other(&'static str),
}

impl Binary {
    /// Magic number, then version 1 and layer 0 (core module) or 0x0d and 1 (component); WebAssembly core specification 5.5
    /// and component-model `Binary.md`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes.get(..8) {
            Some(b"\0asm\x0d\0\x01\0") => Self::Component,
            Some(b"\0asm\x01\0\0\0") => Self::Module,
            Some([0, b'a', b's', b'm', ..]) => Self::Other("it has a version of the binary format that is not known"),
            Some([0x7f, b'E', b'L', b'F', ..]) if Engine::detect_precompiled(bytes).is_some() => {
                Self::Other("it is compiled already, and nobody can look what such code does")
            }
            Some([0x7f, b'E', b'L', b'F', ..]) => Self::Other("it is native code"),
            None if bytes.is_empty() => Self::Other("the file is empty"),
            _ => Self::Other("it does not begin as WebAssembly does"),
        }
    }
}

fn encode(module: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let carries_wit = module.windows(14).any(|window| window == b"component-type");
    wasmtime::ensure!(carries_wit, "it carries no description of its interface (a `component-type` section)");
    let encode = || wit_component::ComponentEncoder::default().validate(true).module(module)?.encode();
    // The encoder panics at some damaged modules: where the size of a section or a type index leads out of them (0.254).
    match std::panic::catch_unwind(encode) {
        Ok(encoded) => {
            encoded.map_err(|error| wasmtime::Error::msg(format!("it cannot be made into a component: {error:#}")))
        }
        Err(_) => wasmtime::bail!("it cannot be made into a component: it is damaged"),
    }
}
