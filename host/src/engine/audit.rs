//! Whether the stream brought everything. An engine drops events for a reader that is too slow, and tells nobody (moby
//! `pkg/pubsub`): the stream looks well. So what the engine remembers is read again from time to time, beside it.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::api::Engine;
use super::cursor::Cursor;
use super::describe::Clock;
use super::error::Fault;
use super::line::{Line, Lines};
use super::parse;
use super::span::wire;
use crate::event::Event;

/// How often.
const EVERY: Duration = Duration::from_secs(30);
/// How long the engine may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Most bytes that are read of it, and that its lines may take in memory. Docker remembers 256 events, of usually 1 KiB.
const LARGEST: u64 = 64 << 20;
/// Bytes that a line takes beside its own.
const LINE_COSTS: usize = 64;
/// How long an event that the stream did not bring may still be on its way.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// Events that the engine remembers and the stream has not brought so far, by their keys, with their lines.
#[derive(Debug, Default)]
pub(super) struct Suspects(HashMap<u128, (Event, Vec<u8>)>);

impl Suspects {
    /// Those among the lines that the cursor does not know.
    pub(super) fn of(engine: &Engine, lines: &[Vec<u8>], cursor: &mut Cursor) -> Self {
        let events = lines.iter().filter_map(|line| Some((parse::event(engine.name(), line).ok()?, line.clone())));
        let keyed = events.map(|(event, line)| (cursor.key(&event), (event, line)));
        let all: HashMap<_, _> = keyed.collect();
        Self(all.into_iter().filter(|(key, _)| !cursor.knows(*key)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The stream has brought it.
    pub(super) fn clear(&mut self, key: u128) {
        self.0.remove(&key);
    }

    /// What it has not brought, the earliest first.
    pub(super) fn convict(&mut self) -> Vec<(Event, Vec<u8>)> {
        let mut skipped: Vec<_> = std::mem::take(&mut self.0).into_values().collect();
        skipped.sort_by_key(|(event, _)| event.time_nanos);
        skipped
    }
}

/// Waits until it is time, then reads what the engine remembers of the time since `since`. A failure is no finding: the
/// stream itself will notice an engine that is gone.
pub(super) async fn next(engine: &Engine, clock: Clock, since: Timestamp) -> (Vec<Vec<u8>>, Timestamp) {
    let mut from = since;
    loop {
        sleep(EVERY).await;
        let until = clock.now();
        match timeout(LIMIT, read(engine, from, until)).await {
            Ok(Ok(lines)) if !lines.is_empty() => return (lines, until),
            Ok(Ok(_)) => from = until,
            Ok(Err(fault @ Fault::TooLarge { .. })) => {
                tracing::warn!(engine = %engine.name(), "the stream was not checked: {fault}");
            }
            Ok(Err(fault)) => tracing::debug!(engine = %engine.name(), "the stream was not checked: {fault}"),
            Err(_) => tracing::debug!(engine = %engine.name(), "the stream was not checked: no answer"),
        }
    }
}

async fn read(engine: &Engine, since: Timestamp, until: Timestamp) -> Result<Vec<Vec<u8>>, Fault> {
    let path = format!("/events?since={}&until={}", wire(since), wire(until));
    let mut body = engine.get_at_most(&path, LARGEST).await?.into_body();
    let (mut lines, mut found) = (Lines::default(), Found::default());
    let begun = Instant::now();
    // An engine that does not end the answer by itself (moby issue 48536) has said all there is within a second.
    while let Ok(Some(chunk)) = timeout(Duration::from_secs(1), body.chunk()).await {
        lines.feed(&chunk?, |line| found.keep(line));
        if found.bytes > LARGEST {
            return Err(Fault::TooLarge { path: "/events".to_owned(), limit: LARGEST });
        }
        if begun.elapsed() > LIMIT / 2 {
            break;
        }
    }
    lines.end(|line| found.keep(line));
    Ok(found.lines)
}

/// Lines, and what they take in memory: short ones more than they have bytes.
#[derive(Default)]
struct Found {
    lines: Vec<Vec<u8>>,
    bytes: u64,
}

impl Found {
    fn keep(&mut self, line: Line<'_>) {
        if let Line::Whole(line) = line {
            self.bytes += (line.len() + LINE_COSTS) as u64;
            self.lines.push(line.to_owned());
        }
    }
}
