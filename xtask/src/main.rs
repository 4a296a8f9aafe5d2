//! `cargo xtask`: builds and checks what `cargo build` alone does not.

use std::process::ExitCode;

mod dist;
mod plugins;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  plugins        build the bundled plugins from source into plugins/target/components
  dist           build them and write plugins/dist, which is committed
  dist --check   build them and fail where plugins/dist is not what the sources give";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["plugins"] => plugins::run(),
        ["dist"] => dist::write(),
        ["dist", "--check"] => dist::check(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => Err(anyhow::anyhow!("no command given\n{USAGE}")),
        unknown => Err(anyhow::anyhow!("unknown command: `{}`\n{USAGE}", unknown.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
