//! The side of the child process: a component on its standard input, machine code on its standard output.

use std::io::{Read, Write, stdin, stdout};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use wasmtime::Engine;

use super::machine_code;
use crate::plugin::runtime::settings;

/// What stands on the standard output is why the component is refused.
pub(super) const UNFIT: u8 = 3;

/// What a program does whose first argument is [`COMPILE_COMPONENT`](super::COMPILE_COMPONENT), and whose others are the
/// limits of its memory in bytes and of its processor time in seconds: it reads a component from its standard input, writes
/// the machine code to its standard output, and ends. Sees no environment, needs no file.
///
/// Exit codes: 0 (compiled), 3 (the reason for a refusal is on the standard output), 1 (the reason for a failure is on the
/// standard error output). A signal ends it where a limit is reached, or its parent is gone.
#[must_use]
pub fn compile_component(memory: u64, seconds: u64) -> ExitCode {
    match compile(memory, seconds) {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to be told where this fails, too.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compile(memory: u64, seconds: u64) -> wasmtime::Result<ExitCode> {
    limit(memory, seconds)?;
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes)?;
    let engine = Engine::new(&settings())?;
    let (output, code) = match machine_code(&engine, &bytes) {
        Ok(machine_code) => (machine_code, ExitCode::SUCCESS),
        Err(reason) => (reason.into_bytes(), ExitCode::from(UNFIT)),
    };
    let mut to = stdout().lock();
    to.write_all(&output)?;
    to.flush()?;
    Ok(code)
}

/// Limits this process for good, before it reads anything.
fn limit(memory: u64, seconds: u64) -> rustix::io::Result<()> {
    // Where its parent was killed nobody wants the result any more.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let at = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    // Not the address space: Cranelift's threads reserve more of it than they use.
    setrlimit(Resource::Data, at(memory))?;
    // The first limit is said by a signal of its own (SIGXCPU); at the second the kernel kills.
    setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds.saturating_add(1)) })?;
    setrlimit(Resource::Core, at(0))
}
