//! `dockbell facts`: the words that events, conditions and messages are made of.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::OutputArgs;
use crate::config::{Config, DEFAULT_FILTER, Environment, Output};
use crate::event::vocabulary::{HEALTH, KINDS};
use crate::event::{Cause, Fact, OWN_KIND, SystemAction};

/// What `facts` takes.
#[derive(Debug, Args)]
pub(super) struct FactsArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints the table.
pub(super) fn run(args: &FactsArgs) -> anyhow::Result<ExitCode> {
    let condition = default_condition()?;
    let text = match args.output.output.unwrap_or_default() {
        Output::Text => text(&condition)?,
        Output::Json => format!("{}\n", as_json(condition)),
    };
    // Whoever closed our output does not want to know.
    let _ = write!(std::io::stdout(), "{text}");
    Ok(ExitCode::SUCCESS)
}

/// Returns the condition of the filter that routes without `filters` have.
fn default_condition() -> anyhow::Result<Map<String, Value>> {
    let mut config = Config::from_environment(&Environment::default())?;
    Ok(config.plugins.remove(DEFAULT_FILTER).map(|plugin| plugin.config).unwrap_or_default())
}

fn words() -> [(&'static str, Vec<(&'static str, &'static str)>); 3] {
    [
        (
            "Facts that dockbell adds to events (`fact.NAME` in conditions)",
            Fact::ALL.iter().map(|fact| (fact.name(), fact.meaning())).collect(),
        ),
        ("Values of the fact `cause`", Cause::ALL.iter().map(|cause| (cause.name(), cause.meaning())).collect()),
        (
            "Actions of dockbell's own events (`kind = \"dockbell\"`)",
            SystemAction::ALL.iter().map(|action| (action.name(), action.meaning())).collect(),
        ),
    ]
}

fn text(condition: &Map<String, Value>) -> anyhow::Result<String> {
    let mut text = String::new();
    for (title, words) in words() {
        let width = words.iter().map(|(word, _)| word.len()).max().unwrap_or_default();
        writeln!(text, "{title}:")?;
        for (word, meaning) in words {
            writeln!(text, "  {word:width$}  {meaning}")?;
        }
        text.push('\n');
    }
    writeln!(text, "Kinds and actions of engines' events; others are allowed, since engines add words:")?;
    for kind in KINDS {
        let podman =
            if kind.podman.is_empty() { String::new() } else { format!("; Podman: {}", kind.podman.join(", ")) };
        writeln!(text, "  {:<9}  {}{podman}", kind.name, kind.docker.join(", "))?;
    }
    writeln!(text, "  The `detail` of `health_status` is one of {}.\n", HEALTH.join(", "))?;
    writeln!(text, "The filter `{DEFAULT_FILTER}`, of routes that name none:")?;
    writeln!(text, "  component = \"match\"\n  config = {}", toml::Value::try_from(condition)?)?;
    Ok(text)
}

fn as_json(condition: Map<String, Value>) -> Value {
    let table = |words: Vec<(&str, &str)>| {
        words.into_iter().map(|(word, meaning)| (word.to_owned(), meaning.into())).collect::<Map<_, _>>()
    };
    let [(_, facts), (_, causes), (_, actions)] = words();
    let kinds: Map<_, _> = KINDS
        .iter()
        .map(|kind| (kind.name.to_owned(), json!({ "docker": kind.docker, "podman": kind.podman })))
        .collect();
    json!({
        "facts": table(facts), "causes": table(causes), OWN_KIND: table(actions), "kinds": kinds, "health": HEALTH,
        DEFAULT_FILTER: condition,
    })
}
