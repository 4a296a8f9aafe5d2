//! The program `dockbell`.

use std::process::ExitCode;

fn main() -> ExitCode {
    dockbell::cli::main()
}
