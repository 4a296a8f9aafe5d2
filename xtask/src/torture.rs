//! `cargo xtask torture`: kills the program at random moments under load, and looks what became of every event.

use anyhow::{Context, Result, bail};

use crate::commands::{cargo, run};

/// How many kills there are unless somebody says otherwise.
const KILLS: u64 = 1_000;

/// Kills as often as `--kills` says. The seed is printed; `DOCKBELL_TORTURE_SEED` runs with it again.
pub(crate) fn torture(arguments: &[&str]) -> Result<()> {
    match arguments {
        [] => kill(KILLS),
        ["--kills", number] => {
            kill(number.parse().with_context(|| format!("`--kills` needs a number, not `{number}`"))?)
        }
        _ => bail!("unknown arguments: `{}`\nhint: `cargo xtask torture [--kills N]`", arguments.join(" ")),
    }
}

/// Kills so many times. The packages are those that the plain tests were built with, so that nothing is built twice.
pub(crate) fn kill(times: u64) -> Result<()> {
    let mut command = cargo(&["test", "--locked", "-p", "dockbell", "-p", "dockbell-tests", "--test", "torture"]);
    command.args(["--", "--ignored", "--nocapture"]);
    run(command.env("DOCKBELL_TORTURE_KILLS", times.to_string()))
}
