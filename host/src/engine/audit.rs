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
use crate::event::{Event, nanos};

/// How often.
pub(super) const EVERY: Duration = Duration::from_secs(30);
/// How long the engine may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Most bytes that are read of it, and that its lines may take in memory. Docker remembers 256 events, of usually 1 KiB.
const LARGEST: u64 = 64 << 20;
/// Bytes that a line takes beside its own.
const LINE_COSTS: usize = 64;
/// How long an event that the stream did not bring may still be on its way.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// How long a stream that is behind may take to bring what was found: beyond that its clock may have been set back.
const LONGEST_GRACE: Duration = Duration::from_secs(60);

/// Events that the engine remembers and the stream has not brought so far, by their keys, with their lines.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    events: HashMap<u128, (Event, Vec<u8>)>,
    /// From when on the engine was asked.
    since: i64,
    /// Key and time of the first event that the engine remembered, if it may have forgotten some before it.
    first: Option<(u128, i64)>,
    found: Option<Instant>,
}

/// Events that the stream has skipped.
#[derive(Debug)]
pub(super) struct Skipped {
    /// The events with their lines, the earliest first; at least one.
    pub(super) events: Vec<(Event, Vec<u8>)>,
    /// Time of the first of them.
    pub(super) first: i64,
    /// Time of the last of them.
    pub(super) last: i64,
    /// From when on the engine was asked.
    pub(super) since: i64,
    /// Time before which more was skipped, perhaps, that the engine no longer remembers.
    pub(super) forgotten_until: Option<i64>,
}

impl Suspects {
    /// Those among the lines that the cursor does not know. The engine was asked for all since `since` and `remembers` so
    /// many at most; `None` where it reads a journal.
    pub(super) fn of(
        engine: &Engine,
        lines: &[Vec<u8>],
        since: Timestamp,
        remembers: Option<usize>,
        cursor: &mut Cursor,
    ) -> Self {
        let mut suspects = Self { since: nanos(since), found: Some(Instant::now()), ..Self::default() };
        let full = remembers.is_some_and(|most| lines.len() >= most);
        for (place, line) in lines.iter().enumerate() {
            let Ok(event) = parse::event(engine.name(), line) else { continue };
            let key = cursor.key(&event);
            if place == 0 && full {
                suspects.first = Some((key, event.time_nanos));
            }
            if !cursor.knows(key) {
                suspects.events.insert(key, (event, line.clone()));
            }
        }
        suspects
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The stream has brought it.
    pub(super) fn clear(&mut self, key: u128) {
        self.events.remove(&key);
    }

    /// Whether the stream, which is at an event of this time, may still bring them.
    pub(super) fn may_come(&self, last: Option<i64>) -> bool {
        let newest = self.events.values().map(|(event, _)| event.time_nanos).max();
        newest > last && self.found.is_some_and(|found| found.elapsed() < LONGEST_GRACE)
    }

    /// What it has not brought; `None` if there is nothing.
    pub(super) fn convict(&mut self) -> Option<Skipped> {
        let Self { events, since, first, .. } = std::mem::take(self);
        let forgotten_until = first.filter(|(key, _)| events.contains_key(key)).map(|(_, time)| time);
        let mut events: Vec<_> = events.into_values().collect();
        events.sort_by_key(|(event, _)| event.time_nanos);
        let (first, last) = (events.first()?.0.time_nanos, events.last()?.0.time_nanos);
        Some(Skipped { events, first, last, since, forgotten_until })
    }
}

/// Waits so long, then reads what the engine remembers of the time since `since`, and returns it with the time until when
/// that was. A failure is no finding: the stream itself will notice an engine that is gone.
pub(super) async fn after(
    wait: Duration,
    engine: &Engine,
    clock: Clock,
    since: Timestamp,
) -> (Vec<Vec<u8>>, Timestamp) {
    sleep(wait).await;
    loop {
        let until = clock.now();
        match timeout(LIMIT, read(engine, since, until)).await {
            Ok(Ok(lines)) => return (lines, until),
            Ok(Err(fault @ Fault::TooLarge { .. })) => {
                tracing::warn!(engine = %engine.name(), "the stream was not checked: {fault}");
            }
            Ok(Err(fault)) => tracing::debug!(engine = %engine.name(), "the stream was not checked: {fault}"),
            Err(_) => tracing::debug!(engine = %engine.name(), "the stream was not checked: no answer"),
        }
        sleep(EVERY).await;
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
