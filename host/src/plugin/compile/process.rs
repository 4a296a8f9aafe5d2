//! The side of the parent: starts the child, feeds it, waits for it, and says how it ended.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::{Engine, Precompiled};

use super::child::UNFIT;
use super::progress::{Progress, SILENCE};
use super::{COMPILE_COMPONENT, CompileError, CompileLimits, Compiling};

/// Machine code that is taken at most: 1 GiB. That of the bundled plugins has half a MiB each.
const MAX_OUTPUT: u64 = 1 << 30;
/// How much more time may pass by the clock than the processor works.
const WAITING: u32 = 10;
/// How often is looked whether the program stops.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The signal of `RLIMIT_CPU`.
const SIGXCPU: i32 = 24;
/// Bytes kept of what the child says about its own end.
const MAX_SAID: u64 = 4096;
/// What Rust says when memory was refused, before it aborts (`library/std/src/alloc.rs`).
const NO_MEMORY: &str = "memory allocation of ";

/// Starts the child: the limits are its arguments, its environment is empty.
pub(super) fn start(program: &Path, limits: CompileLimits) -> io::Result<Child> {
    let seconds = limits.time.as_secs() + u64::from(limits.time.subsec_nanos() > 0);
    Command::new(program)
        .arg0("dockbell")
        .args([COMPILE_COMPONENT, &limits.memory.to_string(), &seconds.to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Has the child compile a component. It is ended where it takes too long, or `compiling` is stopped.
pub(super) fn compile(
    mut child: Child,
    limits: CompileLimits,
    plugin: &str,
    bytes: &[u8],
    compiling: &Compiling,
) -> Result<Vec<u8>, CompileError> {
    let began = Instant::now();
    let patience = limits.time.saturating_mul(WAITING);
    let (input, output, said) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        // A child that ends early does not read to the end; its status says why.
        scope.spawn(move || input.map(|mut input| input.write_all(bytes)));
        let said = scope.spawn(move || said.map(|said| all(said, MAX_SAID)).unwrap_or_default());
        let (sender, receiver) = channel();
        // The receiver waits for as long as this runs.
        scope.spawn(move || sender.send(output.map(|output| all(output, MAX_OUTPUT)).unwrap_or_default()));
        let output = wait(&receiver, patience, Progress::new(plugin, bytes.len()), compiling);
        // Where its output has ended so has the child, or it is about to: this does not touch its status then.
        let killed = output.is_none();
        let status = end(&mut child, killed, patience.saturating_sub(began.elapsed()));
        let said = said.join().unwrap_or_default();
        match (output, status) {
            (Some(output), Ok(status)) => verdict(output, status, &String::from_utf8_lossy(&said), limits),
            (None, _) if compiling.is_stopping() => Err(CompileError::Stopped),
            (None, _) => Err(CompileError::Time(limits.time)),
            (_, Err(error)) => Err(CompileError::Crashed(error.to_string())),
        }
    })
}

/// All of a stream; what is behind `limit` bytes is read and thrown away, so that the writer does not wait.
fn all(mut from: impl Read, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A broken pipe is an end, too, and the status says what kind of end.
    let _ = from.by_ref().take(limit).read_to_end(&mut bytes);
    let _ = io::copy(&mut from, &mut io::sink());
    bytes
}

/// The output, if it comes in time and before the program stops.
fn wait(output: &Receiver<Vec<u8>>, limit: Duration, mut progress: Progress, compiling: &Compiling) -> Option<Vec<u8>> {
    let began = Instant::now();
    let mut silent_until = began + SILENCE;
    while began.elapsed() < limit && !compiling.is_stopping() {
        match output.recv_timeout(LOOK_EVERY.min(limit)) {
            Ok(output) => return Some(output),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        if Instant::now() >= silent_until {
            silent_until += SILENCE;
            progress.goes_on();
        }
    }
    None
}

/// Ends the child, at once or within `patience`.
fn end(child: &mut Child, at_once: bool, patience: Duration) -> io::Result<ExitStatus> {
    let until = Instant::now() + patience;
    while !at_once && Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(1));
    }
    // It fails only where the child has ended.
    let _ = child.kill();
    child.wait()
}

fn verdict(output: Vec<u8>, status: ExitStatus, said: &str, limits: CompileLimits) -> Result<Vec<u8>, CompileError> {
    if status.success() {
        return match Engine::detect_precompiled(&output) {
            Some(Precompiled::Component) => Ok(output),
            _ => Err(CompileError::Crashed("what was started to compile it is another program".to_owned())),
        };
    }
    if status.code() == Some(i32::from(UNFIT)) {
        return Err(CompileError::Unfit(String::from_utf8_lossy(&output).into_owned()));
    }
    // Rust's own memory, and that of the system calls which wasmtime and its threads make.
    if said.contains(NO_MEMORY) || said.contains("Cannot allocate memory") {
        return Err(CompileError::Memory(limits.memory));
    }
    if status.signal() == Some(SIGXCPU) {
        return Err(CompileError::Time(limits.time));
    }
    Err(CompileError::Crashed(match status.signal() {
        Some(9) => "it was killed (signal 9), as the kernel does where the machine or the container has no memory left"
            .to_owned(),
        Some(signal) => format!("signal {signal}; it said: {}", last_line(said)),
        None => format!("{status}; it said: {}", last_line(said)),
    }))
}

fn last_line(said: &str) -> &str {
    said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing")
}
