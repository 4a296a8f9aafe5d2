//! `dockbell send`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use ulid::Ulid;

use super::ConfigArgs;
use crate::app::letters::deliver_now;
use crate::config::Config;
use crate::message::{Alternative, Message, Notification, Phase};

/// What `send` takes.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The sink, by its name in the configuration
    #[arg(long, value_name = "SINK")]
    to: String,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Sends a test message to one sink, as any other message is sent, and says what became of it.
pub(super) async fn run(args: SendArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    if !config.sinks.contains_key(&args.to) {
        let known: Vec<String> = config.sinks.keys().map(|name| format!("`{name}`")).collect();
        bail!("there is no sink `{}`\nhint: sinks: {}", args.to, known.join(", "));
    }
    let message = message(&config);
    let letter = deliver_now(&config, &args.to, &message).await?;
    let mut code = ExitCode::SUCCESS;
    for recipient in letter.recipients {
        match recipient.error {
            None => println!("{}: accepted", recipient.address),
            Some(error) => {
                eprintln!("error: {}: {error}", recipient.address);
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
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
