//! `dockbell plugin`: what an author of plugins needs.

mod build;
mod component;
mod language;
mod new;
mod project;
mod tool;

use std::process::ExitCode;

use clap::Subcommand;

/// What `plugin` can do.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Begin a plugin of your own: a folder that builds at once
    New(new::NewArgs),
    /// Build a plugin: run the right compiler, make a component of what it wrote, and look whether dockbell takes it
    Build(build::BuildArgs),
}

/// Does what was asked.
pub(super) fn run(command: PluginCommand) -> anyhow::Result<ExitCode> {
    match command {
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Build(args) => build::run(&args),
    }
}
