//! `dockbell plugin`: what authors and users of plugins need.

mod build;
mod component;
mod inspect;
mod language;
mod list;
mod new;
mod project;
mod subject;
mod test;
mod tool;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// What `plugin` takes.
#[derive(Debug, Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Begin a plugin of your own: a folder that builds at once
    New(new::NewArgs),
    /// Build a plugin: run the right compiler, make a component of what it wrote, and look whether dockbell takes it
    Build(build::BuildArgs),
    /// Say what a plugin is, what it may do and asks for, and what it costs
    Inspect(inspect::InspectArgs),
    /// Try a plugin on recorded events: what a filter says about each, or the messages that a formatter makes of them
    Test(test::TestArgs),
    /// List the bundled plugins and the keys of their configuration
    List(list::ListArgs),
}

/// Does what was asked.
pub(super) async fn run(args: PluginArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Build(args) => build::run(&args),
        PluginCommand::Inspect(args) => inspect::run(args).await,
        PluginCommand::Test(args) => test::run(args).await,
        PluginCommand::List(args) => list::run(args),
    }
}
