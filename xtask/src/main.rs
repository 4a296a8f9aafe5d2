//! `cargo xtask`: what the project does besides `cargo build` and `cargo test`.

mod commands;
mod dist;
mod fuzz;
mod languages;
mod package;
mod plugins;
mod record;
mod steps;
mod test;
mod tools;
mod torture;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test           fetch what the tests need, then check and test everything; with a real engine and mail server
  torture        kill dockbell 1,000 times at random moments under load; --kills N for another number
  fuzz           give each fuzz target a minute; `--seconds N` other than that, `TARGET` that one alone
  bench          print how fast dockbell is, beside `docker events`
  languages      build and measure the examples in each language, and write the table of examples/plugins/README.md;
                 `--program FILE` with that dockbell instead of a new one
  package        make what people install in target/packages: a .tar.gz, a .deb and SHA256SUMS; `--program FILE` of that
                 dockbell instead of a release build; `--check` makes them of the tests' debug build, installs and tries them
  plugins        build the bundled plugins from source into plugins/target/components
  dist           build them and write plugins/dist, which is committed
  dist --check   build them and fail where plugins/dist is not what the sources give
  record         make examples/recordings anew, with a real engine";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test"] => test::test(),
        ["torture", arguments @ ..] => torture::torture(arguments),
        ["fuzz", arguments @ ..] => fuzz::command(arguments),
        ["bench"] => bench(),
        ["languages", arguments @ ..] => languages::command(arguments),
        ["package", "--check"] => test::packages(),
        ["package", arguments @ ..] => package::command(arguments),
        ["plugins"] => plugins::run(),
        ["dist"] => dist::write(),
        ["dist", "--check"] => dist::check(),
        ["record"] => record::record(),
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

/// The packages are named so that everything is built as `cargo build --release` builds it.
fn bench() -> anyhow::Result<()> {
    tools::python()?;
    let folders = [tools::compilers(), tools::componentize_py()?.join("bin"), tools::node_modules()?.join(".bin")];
    let packages = ["--package", "dockbell", "--package", "dockbell-tests"];
    let mut bench = commands::cargo(&["bench", "--locked", "--bench", "pipeline"]);
    commands::run(bench.args(packages).env("PATH", tools::path_with(&folders)?))
}
