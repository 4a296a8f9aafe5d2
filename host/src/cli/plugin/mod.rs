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

use crate::text::is_hidden;

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

/// Returns JSON in which characters that steer a terminal or are not seen are escaped, so that it means the same. They stand
/// only within its strings, where the serializer leaves all but the first 32 as they are.
fn visible_json(json: &str) -> String {
    let mut visible = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| visible.push_str(&format!("\\u{unit:04x}")));
        } else {
            visible.push(c);
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_in_json_and_mean_the_same() {
        let text = "a\u{1b}[31m\u{9b}m\u{202e}\u{200b}\u{e0041}\u{7f}ü\n";
        let json = visible_json(&serde_json::to_string(text).unwrap());
        assert!(!json.contains(is_hidden), "{json}");
        assert!(json.contains("\\udb40\\udc41\\u007fü"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
