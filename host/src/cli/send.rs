//! `dockbell send`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use ulid::Ulid;

use super::ConfigArgs;
use super::check::in_words_of;
use crate::app::letters::deliver_now;
use crate::config::problem::{choose, listed};
use crate::config::{Config, SinkConfig};
use crate::message::{Alternative, Message, Notification, Phase};

/// What `send` takes.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The sink, by its name in the configuration [default: the only one that is not the terminal]
    #[arg(long, value_name = "SINK")]
    to: Option<String>,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
}

/// Sends a test message to one sink, as any other message is sent, and says what became of it.
pub(super) async fn run(args: SendArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let sink = sink(&config, args.to.as_deref())?;
    let letter = deliver_now(&config, sink, &message(&config)).await?;
    let mut code = ExitCode::SUCCESS;
    for recipient in letter.recipients {
        match recipient.error {
            None => println!("{}: accepted", recipient.address),
            Some(error) => {
                eprintln!("error: {}: {}", recipient.address, in_words_of(sink, &error));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// Returns the name of the sink that is meant.
fn sink<'a>(config: &'a Config, named: Option<&'a str>) -> anyhow::Result<&'a str> {
    let known: Vec<&str> = config.sinks.keys().map(String::as_str).collect();
    let Some(name) = named else {
        let is_far = |name: &&&str| !matches!(config.sinks.get(**name), Some(SinkConfig::Stdout(_)));
        return match known.iter().filter(is_far).collect::<Vec<_>>().as_slice() {
            [only] => Ok(only),
            _ => bail!("which sink?\nhint: `--to SINK` names one of {}", listed(&known)),
        };
    };
    if !known.contains(&name) {
        bail!("there is no sink `{name}`\nhint: {}", choose(name, &known, "sinks"));
    }
    Ok(name)
}

fn message(config: &Config) -> Message {
    let (id, now) = (Ulid::generate(), Timestamp::now());
    let host = &config.hostname;
    let text = format!("This is a test message from dockbell on {host}, sent at {now}.\nIts id is {id}.\n");
    Message {
        id,
        route: Arc::from("send"),
        group: String::new(),
        phase: Phase::First,
        sealed_at: now,
        total: 0,
        notification: Notification {
            subject: format!("[{host}] test message from dockbell"),
            alternatives: vec![Alternative { media_type: "text/plain".to_owned(), content: text }],
            fields: Vec::new(),
        },
    }
}
