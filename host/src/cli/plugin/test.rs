//! `dockbell plugin test`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Map, json};
use similar::TextDiff;

use super::inspect::time;
use super::subject::Subject;
use super::visible_json;
use crate::app::recording::Recording;
use crate::app::routes;
use crate::app::trial::{self, Said, Summary};
use crate::cli::OutputArgs;
use crate::config::Output;
use crate::event::Event;
use crate::files;
use crate::message::Notification;
use crate::plugin::CallError;
use crate::route::plain::Plain;
use crate::text::{count, multi_line, one_line};

/// The largest file of `--expect`: 64 MiB, the messages of a long recording.
const LARGEST_EXPECTED: u64 = 64 << 20;

/// What `test` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
What is printed depends on nothing but the plugin and the events (times are UTC): keep it, and compare with it later.
  dockbell plugin test my.wasm --events events.jsonl > expected.txt
  dockbell plugin test my.wasm --events events.jsonl --expect expected.txt
Fails where a call fails, or with --expect where anything differs. A state that the plugin is granted begins empty and ends with
the run.")]
pub(super) struct TestArgs {
    #[command(flatten)]
    subject: Subject,
    /// JSON lines as `docker events --format '{{json .}}'` prints them; `-` is standard input
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// What is expected, as an earlier run printed it: only what differs is printed then
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints what the plugin said; how long it took goes to the standard error output.
pub(super) async fn run(args: TestArgs) -> anyhow::Result<ExitCode> {
    let (name, config) = args.subject.resolve()?;
    let expected = args.expect.as_ref().map(|path| {
        files::read_text(path, LARGEST_EXPECTED).with_context(|| {
            format!(
                "--expect: cannot read `{}`\nhint: a run without `--expect` prints what belongs there",
                path.display()
            )
        })
    });
    let expected = expected.transpose()?;
    let recording = Recording::open(&args.events, "local").await?;
    let plugin = routes::runtime()?.load(&name, &config)?;

    let form = Form::new(args.output.output.unwrap_or_default());
    let mut said = String::new();
    let summary = trial::run(&plugin, recording, |one| {
        let text = form.write(&one);
        match expected {
            Some(_) => said.push_str(&text),
            // Whoever closed our output does not want to know.
            None => drop(std::io::stdout().write_all(text.as_bytes())),
        }
    })
    .await?;
    eprintln!("{}", in_words(&summary));
    let Some(expected) = expected else {
        return Ok(if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    if said == expected {
        eprintln!("as expected");
        return Ok(ExitCode::SUCCESS);
    }
    let diff = TextDiff::configure().timeout(Duration::from_secs(10)).diff_lines(&*expected, &*said);
    let mut diff = diff.unified_diff();
    let _ = write!(std::io::stdout(), "{}", diff.header("expected", "said"));
    eprintln!("not as expected: `-` is what was expected, `+` is what the plugin said");
    Ok(ExitCode::FAILURE)
}

/// How what was said is written.
struct Form {
    output: Output,
    plain: Plain,
}

impl Form {
    fn new(output: Output) -> Self {
        Self { output, plain: Plain { hostname: String::new(), zone: TimeZone::UTC } }
    }

    fn write(&self, said: &Said<'_>) -> String {
        match (said, self.output) {
            (Said::Verdict { number, event, verdict }, Output::Text) => self.verdict(*number, event, verdict),
            (Said::Verdict { number, event, verdict }, Output::Json) => {
                let (kind, action, who) = (&event.kind, &event.action, event.who());
                let event = json!({ "number": number, "time-nanos": event.time_nanos, "kind": kind, "action": action, "who": who });
                let mut line = json!({ "event": event });
                match verdict {
                    Ok(passes) => line["accept"] = json!(passes),
                    Err(error) => line["failed"] = failed(error),
                }
                visible_json(&line.to_string()) + "\n"
            }
            (Said::Messages(Ok(messages)), Output::Text) => {
                messages.iter().zip(1..).map(|(message, number)| in_full(number, message)).collect()
            }
            (Said::Messages(Ok(messages)), Output::Json) => {
                messages.iter().map(|message| visible_json(&as_json(message).to_string()) + "\n").collect()
            }
            (Said::Messages(Err(error)), Output::Text) => format!("{}: {error}\n", error.reason()),
            (Said::Messages(Err(error)), Output::Json) => format!("{}\n", json!({ "failed": failed(error) })),
        }
    }

    /// `    12  true     2026-11-22 12:29:51 local shop-worker-1 die (exit 1, crashed) image=shop/worker:2.4.1`.
    fn verdict(&self, number: u64, event: &Event, verdict: &Result<bool, CallError>) -> String {
        let (word, why) = match verdict {
            Ok(true) => ("true", String::new()),
            Ok(false) => ("false", String::new()),
            Err(error) => (error.reason(), format!("{:17}{}\n", "", error.brief())),
        };
        format!("{number:>6}  {word:<7}  {}\n{why}", self.plain.line(event))
    }
}

fn failed(error: &CallError) -> serde_json::Value {
    json!({ "reason": error.reason(), "error": error.brief() })
}

/// A message with all its forms. A terminal must not obey what is in them.
fn in_full(number: usize, message: &Notification) -> String {
    let line = |text: &str| one_line(text, usize::MAX);
    let mut text = format!("message {number}\nsubject: {}\n", line(&message.subject));
    for (name, value) in &message.fields {
        text.push_str(&format!("{}: {}\n", line(name), line(value)));
    }
    for form in &message.alternatives {
        let content = multi_line(form.content.trim_end_matches('\n'));
        text.push_str(&format!("--- {}\n{content}\n", line(&form.media_type)));
    }
    text
}

fn as_json(message: &Notification) -> serde_json::Value {
    let fields: Map<String, serde_json::Value> =
        message.fields.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let form = |form: &crate::message::Alternative| json!({ "media-type": form.media_type, "content": form.content });
    let alternatives: Vec<_> = message.alternatives.iter().map(form).collect();
    json!({ "subject": message.subject, "fields": fields, "alternatives": alternatives })
}

fn in_words(summary: &Summary) -> String {
    let Summary { events, unreadable, passed, failed, messages, started, calls } = summary;
    let micros = |took: Duration| time(took.as_secs_f64() * 1e6);
    let mut parts = vec![format!("{}: {passed} passed", count(*events, "event", "events"))];
    if *failed > 0 {
        parts.push(format!("{} failed", count(*failed, "call", "calls")));
    }
    if *messages > 0 {
        parts.push(count(*messages, "message", "messages"));
    }
    if *unreadable > 0 {
        parts.push(count(*unreadable, "unreadable line", "unreadable lines"));
    }
    parts.push(format!("started in {}", micros(*started)));
    if let (Some(median), Some(most)) = (calls.get(calls.len() / 2), calls.last()) {
        parts.push(format!("{} a call (median), {} at most", micros(*median), micros(*most)));
    }
    parts.join(", ")
}
