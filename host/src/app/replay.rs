//! What would have been told about recorded events. Time is what the events say, so that hours take milliseconds.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::components::{self, Shelf};
use super::recording::{HINT, Recording};
use super::routes::{self, Started, Telling};
use super::states::States;
use crate::config::{Config, Output, SinkConfig, StdoutConfig};
use crate::deliver::Sink;
use crate::event::Event;
use crate::message::Message;
use crate::route::Route;
use crate::route::room::Room;
use crate::text::count;

/// How many unreadable lines are shown.
const SHOWN: u64 = 10;

/// What a replay came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines that were events.
    pub events: u64,
    /// Lines that were not.
    pub unreadable: u64,
    /// Messages that would have been told.
    pub messages: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&count(self.events, "event", "events"))?;
        write!(f, ", {}", count(self.messages, "message", "messages"))?;
        if self.unreadable > 0 {
            write!(f, ", {}\n{HINT}", count(self.unreadable, "unreadable line", "unreadable lines"))?;
        }
        Ok(())
    }
}

/// Passes recorded lines (a file, or `-` for the standard input) through the routes and prints each message as it would have
/// been told. Every engine's routes see them: a recording belongs to none, so it counts as the first one's.
///
/// # Errors
/// A plugin that is refused; a recording that cannot be read to its end, or of which no line is an event.
pub async fn run(config: &Config, shelf: &Shelf, recording: &Path, output: Output) -> anyhow::Result<Summary> {
    let engine = config.engines.keys().next().map_or("local", String::as_str);
    let recording = Recording::open(recording, engine).await?;
    let runtime = routes::runtime()?;
    let plugins = routes::load_plugins(&components::fetch(config, shelf).await?, &runtime, &routes::Plugins::new())?;
    let started =
        routes::start(config, &plugins, &States::fleeting(config), Telling::InWindows, &Room::default()).await?;
    let summary = Replay::new(started, output)?.run(recording).await?;
    anyhow::ensure!(summary.events > 0 || summary.unreadable == 0, "the recording holds no event: {summary}");
    Ok(summary)
}

struct Replay {
    /// Each with the names of its sinks.
    routes: Vec<(Route, String)>,
    print: Sink,
    output: Output,
    /// The time that the events have reached.
    now: Timestamp,
    summary: Summary,
    /// Whether whoever reads our output has gone away.
    closed: bool,
}

impl Replay {
    fn new(started: Vec<Started>, output: Output) -> anyhow::Result<Self> {
        let routes = started.into_iter().map(|Started { route, to }| (route, to.join(", "))).collect();
        Ok(Self {
            routes,
            print: Sink::open("terminal", &SinkConfig::Stdout(StdoutConfig { output }), "", None)?,
            output,
            now: Timestamp::MIN,
            summary: Summary::default(),
            closed: false,
        })
    }

    async fn run(mut self, mut recording: Recording) -> anyhow::Result<Summary> {
        while !self.closed
            && let Some(next) = recording.next().await?
        {
            match next {
                Ok(event) => self.take(event).await,
                Err(error) => {
                    self.summary.unreadable += 1;
                    // The rest is only counted: a file that is no recording may have a million lines.
                    if self.summary.unreadable <= SHOWN {
                        tracing::warn!("{error}");
                    }
                }
            }
        }
        self.pass_time(Timestamp::MAX).await;
        Ok(self.summary)
    }

    async fn take(&mut self, event: Event) {
        self.summary.events += 1;
        let time = Timestamp::from_nanosecond(event.time_nanos.into()).unwrap_or(self.now);
        self.pass_time(time).await;
        self.now = self.now.max(time);
        let event = Arc::new(event);
        for (route, _) in &mut self.routes {
            route.take_one(self.summary.events, &event, self.now).await;
        }
    }

    /// Tells everything that is due until then, in the order in which it is due.
    async fn pass_time(&mut self, until: Timestamp) {
        loop {
            let due = self.routes.iter().filter_map(|(route, _)| route.next_due()).min();
            let Some(due) = due.filter(|due| *due <= until) else { return };
            let mut told = Vec::new();
            for (route, to) in &mut self.routes {
                while let Some(turn) = route.turn(due) {
                    let Some(batch) = turn.batch else { continue };
                    let messages = route.messages(batch, due).await;
                    told.extend(messages.into_iter().map(|message| (to.clone(), message)));
                }
            }
            for (to, message) in told {
                self.print(&to, &message).await;
            }
        }
    }

    async fn print(&mut self, to: &str, message: &Message) {
        self.summary.messages += 1;
        if self.output == Output::Text {
            let time = Zoned::new(message.sealed_at, TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string();
            let headline = format!("--- {time}, route {} to {to}, {}", message.route, message.phase);
            self.closed |= writeln!(std::io::stdout(), "{headline}").is_err();
        }
        if let Ok(sealed) = self.print.seal(message) {
            self.closed |= !self.print.deliver(&sealed).await.failed.is_empty();
        }
    }
}
