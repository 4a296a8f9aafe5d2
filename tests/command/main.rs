//! The program's commands as processes: what a person types, and what they read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod check;
mod engine;
mod examples;
mod log;
mod options;
mod reference;
mod replay;

use std::process::Command;

use dockbell_tests::program::{Ended, Program, program};

/// Runs the program with these arguments, after `prepare` has set what else it needs, until it ends.
fn run(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Ended {
    let mut command = program(env!("CARGO_BIN_EXE_dockbell-under-test"));
    // Compiled once for all tests.
    command.args(arguments).env("DOCKBELL_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/command-cache"));
    prepare(&mut command);
    Program::start(&mut command).ended()
}
