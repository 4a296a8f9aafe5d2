//! `dockbell plugin list`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anstyle::Style;
use clap::Args;
use serde_json::json;

use crate::cli::OutputArgs;
use crate::config::Output;
use crate::plugin::{BUNDLED, Bundled};

/// What `list` takes.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints each bundled plugin with its configuration.
pub(super) fn run(args: ListArgs) -> anyhow::Result<ExitCode> {
    let text: String = match args.output.output.unwrap_or_default() {
        Output::Text => BUNDLED.iter().map(in_words).collect::<Vec<_>>().join("\n"),
        Output::Json => BUNDLED.iter().map(|plugin| in_json(plugin) + "\n").collect(),
    };
    // Whoever closed our output does not want to know.
    let _ = anstream::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn in_words(plugin: &Bundled) -> String {
    let bold = Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}: {}\n", plugin.name, plugin.about());
    for key in plugin.keys() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {bold}{}{bold:#}: {}", key.key, key.what);
        if !key.default.is_empty() {
            let _ = writeln!(text, "      default: {}", key.default);
        }
        let _ = writeln!(text, "      {}", key.example);
    }
    text
}

fn in_json(plugin: &Bundled) -> String {
    json!({ "name": plugin.name, "kind": plugin.role, "about": plugin.about(), "config": plugin.keys() }).to_string()
}
