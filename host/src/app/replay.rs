//! What would have been told about recorded events. Time is what the events say, so that hours take milliseconds.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::components::{self, Shelf};
use super::routes::{self, Started, Telling};
use crate::config::{Config, Output, SinkConfig, StdoutConfig};
use crate::deliver::Sink;
use crate::engine::line::{Line, Lines};
use crate::engine::parse::{self, Unreadable};
use crate::event::Event;
use crate::lifecycle::Lifecycle;
use crate::message::Message;
use crate::plugin::Runtime;
use crate::route::Route;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

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
        write!(f, "{} events, {} messages", self.events, self.messages)?;
        if self.unreadable > 0 {
            write!(f, ", {} unreadable lines", self.unreadable)?;
        }
        Ok(())
    }
}

/// Passes recorded lines through the routes and prints each message as it would have been told. Every engine's routes see
/// them: a recording belongs to none, so it counts as the first one's.
///
/// # Errors
/// A plugin that is refused; a recording that cannot be read to its end.
pub async fn run(
    config: &Config,
    shelf: &Shelf,
    lines: impl AsyncRead + Unpin,
    output: Output,
) -> anyhow::Result<Summary> {
    let runtime = Runtime::of_program().map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let plugins = routes::load_plugins(&components::fetch(config, shelf).await?, &runtime, &routes::Plugins::new())?;
    let started = routes::start(config, &plugins, Telling::InWindows).await?;
    let engine = config.engines.keys().next().map_or("local", String::as_str);
    Replay::new(engine, started, output)?.run(lines).await
}

struct Replay {
    engine: Arc<str>,
    lifecycle: Lifecycle,
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
    fn new(engine: &str, started: Vec<Started>, output: Output) -> anyhow::Result<Self> {
        let routes = started.into_iter().map(|Started { route, to }| (route, to.join(", "))).collect();
        Ok(Self {
            engine: engine.into(),
            lifecycle: Lifecycle::new(),
            routes,
            print: Sink::open("terminal", &SinkConfig::Stdout(StdoutConfig { output }), "", None)?,
            output,
            now: Timestamp::MIN,
            summary: Summary::default(),
            closed: false,
        })
    }

    async fn run(mut self, mut lines: impl AsyncRead + Unpin) -> anyhow::Result<Summary> {
        let mut splitter = Lines::default();
        let mut chunk = vec![0; CHUNK];
        while !self.closed {
            let read = lines.read(&mut chunk).await?;
            let mut events = Vec::new();
            let mut each = |line: Line<'_>| events.push(parse(&self.engine, line));
            match read {
                0 => splitter.end(&mut each),
                read => splitter.feed(&chunk[..read], &mut each),
            }
            for event in events {
                match event {
                    Ok(event) => self.take(event).await,
                    Err(error) => {
                        self.summary.unreadable += 1;
                        tracing::warn!("{error}");
                    }
                }
            }
            if read == 0 {
                break;
            }
        }
        self.pass_time(Timestamp::MAX).await;
        Ok(self.summary)
    }

    async fn take(&mut self, mut event: Event) {
        self.summary.events += 1;
        let time = Timestamp::from_nanosecond(event.time_nanos.into()).unwrap_or(self.now);
        self.pass_time(time).await;
        self.now = self.now.max(time);
        self.lifecycle.observe(&mut event);
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

fn parse(engine: &Arc<str>, line: Line<'_>) -> Result<Event, Unreadable> {
    match line {
        Line::Whole(line) => parse::event(engine, line),
        Line::TooLong { bytes, start } => Err(Unreadable::new(bytes, start, "the line is too long")),
    }
}
