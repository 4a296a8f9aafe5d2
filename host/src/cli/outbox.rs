//! `dockbell outbox`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::json;

use super::{OutputArgs, StateArgs};
use crate::app::letters;
use crate::config::Output;
use crate::serve::control::Request;
use crate::store::{Filter, Letter, MessageState, Place, Reader, Summary};
use crate::text;

/// What `outbox` takes.
#[derive(Debug, Args)]
pub(super) struct OutboxArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The messages that wait and the dead letters, the oldest first
    List(ListArgs),
    /// All about one message: recipients, attempts, content
    Show {
        /// Its id
        id: String,
    },
    /// Send messages again: dead letters, and those that wait for a person or for their time
    Retry(Which),
    /// Remove messages for good
    Drop(Which),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only messages for this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Only messages in this state: pending, sending, sent, held, dead, orphaned
    #[arg(long, value_name = "STATE", value_parser = state)]
    only: Option<MessageState>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct Which {
    /// Ids of messages
    #[arg(required = true)]
    ids: Vec<String>,
}

fn state(text: &str) -> Result<MessageState, String> {
    let known = MessageState::ALL.into_iter().find(|state| state.name() == text);
    known.ok_or_else(|| format!("known are {}", MessageState::ALL.map(|state| state.name()).join(", ")))
}

/// Shows or changes what waits in the store, whether dockbell runs or not.
pub(super) async fn run(args: OutboxArgs) -> anyhow::Result<ExitCode> {
    let Place::Directory(state) = args.state.place()? else {
        bail!("with `--state none` there is no outbox to look into\nhint: name the directory of the running dockbell");
    };
    match args.command {
        Command::List(list) => print(&listed(&state, list)?),
        Command::Show { id } => print(&shown(&state, &id)?),
        Command::Retry(Which { ids }) => {
            return changed(state, ids, "to be sent again", Request::Retry).await;
        }
        Command::Drop(Which { ids }) => return changed(state, ids, "removed", Request::Drop).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn changed(
    state: PathBuf,
    ids: Vec<String>,
    what: &str,
    request: fn(Vec<String>) -> Request,
) -> anyhow::Result<ExitCode> {
    for id in &ids {
        letters::id(id).map_err(anyhow::Error::msg)?;
    }
    let wanted = ids.len();
    let count = letters::change(&state, &request(ids)).await?;
    print(&format!("{count} {} {what}\n", if count == 1 { "message is" } else { "messages are" }));
    if count == 0 {
        eprintln!(
            "error: none of the {wanted} is in a state in which that can be done\nhint: see `dockbell outbox list`"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(state: &std::path::Path, args: ListArgs) -> anyhow::Result<String> {
    let json = args.output.output == Some(Output::Json);
    // Before the first start there is no store, and so nothing in it.
    if !Reader::may_be_in(state) {
        let text = format!("nothing waits: no dockbell has used `{}` yet\n", state.display());
        return Ok(if json { String::new() } else { text });
    }
    let reader = Reader::open(state)?;
    let mut filter = Filter { sink: args.sink, ..Filter::default() };
    if let Some(only) = args.only {
        filter.states = vec![only];
    }
    let mut text = String::new();
    let mut count = 0;
    // Page by page: there may be a million.
    loop {
        let page = reader.messages(&filter)?;
        let Some(last) = page.last() else { break };
        filter.after = last.number;
        count += page.len();
        for message in page {
            if json {
                let _ = writeln!(text, "{}", as_json(&message));
            } else {
                line(&mut text, &message);
            }
        }
        print(&std::mem::take(&mut text));
    }
    if count == 0 && !json {
        text.push_str("nothing waits, and there is no dead letter\n");
    }
    Ok(text)
}

fn line(text: &mut String, message: &Summary) {
    let Summary { id, state, sink, .. } = message;
    let (tries, total) = (text::count(message.tries, "try", "tries"), text::count(message.total, "event", "events"));
    let when = local(message.sealed_at);
    let subject = text::one_line(&message.subject, 100);
    let _ = writeln!(text, "{id}  {state:<8}  {when}  {sink}  {tries}, {total}: {subject}");
    if let Some(error) = &message.error {
        let _ = writeln!(text, "    {}", text::one_line(error, 300));
    }
}

fn as_json(message: &Summary) -> serde_json::Value {
    let time = |time: Timestamp| time.to_string();
    json!({
        "id": message.id.to_string(), "sink": message.sink, "route": message.route, "group": message.group,
        "phase": message.phase.name(), "subject": message.subject, "events": message.total, "bytes": message.bytes,
        "state": message.state.name(), "tries": message.tries, "next": message.next.map(time),
        "sealed": time(message.sealed_at), "deadline": time(message.deadline), "ended": message.ended.map(time),
        "ambiguous": message.ambiguous, "error": message.error,
    })
}

fn shown(state: &std::path::Path, id: &str) -> anyhow::Result<String> {
    let id = letters::id(id).map_err(anyhow::Error::msg)?;
    let found = Reader::open(state)?.letters(id)?;
    if found.is_empty() {
        bail!(
            "there is no message {id}\nhint: `dockbell outbox list` shows those that wait; sent ones are kept for a day"
        );
    }
    let mut text = String::new();
    for letter in found {
        letter_of(&mut text, &letter).context("the message cannot be shown")?;
    }
    Ok(text)
}

fn letter_of(text: &mut String, letter: &Letter) -> std::fmt::Result {
    line(text, &letter.summary);
    writeln!(text, "    route {}, group `{}`", letter.summary.route, text::one_line(&letter.summary.group, 200))?;
    writeln!(text, "    tried until {}", local(letter.summary.deadline))?;
    for recipient in &letter.recipients {
        let error = recipient.error.as_deref().map(|error| format!(": {}", text::one_line(error, 300)));
        writeln!(text, "    to {}: {}{}", recipient.address, recipient.state, error.unwrap_or_default())?;
    }
    for attempt in &letter.attempts {
        let outcome = text::one_line(&attempt.outcome, 300);
        writeln!(text, "    attempt {}, {}: {}: {outcome}", attempt.number, local(attempt.at), attempt.stage)?;
    }
    if let Some(wire) = &letter.wire {
        writeln!(text, "\n{}", text::multi_line(&String::from_utf8_lossy(wire)))?;
    }
    Ok(())
}

fn local(time: Timestamp) -> String {
    Zoned::new(time, TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn print(text: &str) {
    // Whoever closed our output does not want to know.
    let _ = write!(anstream::stdout(), "{text}");
}
