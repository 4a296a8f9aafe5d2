//! `dockbell plugin`.

mod inspect;
mod list;
mod subject;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// What `plugin` takes.
#[derive(Debug, Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what a plugin is, what it may do and asks for, and what it costs
    Inspect(inspect::InspectArgs),
    /// Try a plugin on recorded events: what a filter says about each, or the messages that a formatter makes of them
    Test(test::TestArgs),
    /// List the bundled plugins and the keys of their configuration
    List(list::ListArgs),
}

/// Does what was asked for.
pub(super) async fn run(args: PluginArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Inspect(args) => inspect::run(args).await,
        Command::Test(args) => test::run(args).await,
        Command::List(args) => list::run(args),
    }
}
