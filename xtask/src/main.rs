//! `cargo xtask`: what the project does besides `cargo build` and `cargo test`.

mod record;

use std::env;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  record   makes `examples/recordings/` anew, with a real engine
";

fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some("record") => record::record(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
