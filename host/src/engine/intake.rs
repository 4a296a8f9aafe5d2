//! Lines become events, what is known is dropped, and what is ready goes out together.

use std::sync::Arc;

use super::audit::Answer;
use super::batch::Batch;
use super::cursor::{Cursor, Verdict};
use super::line::Line;
use super::outlet::Outlet;
use super::parse::{self, Unreadable};
use super::suspects::{Skipped, Suspects};
use crate::event::{Event, Fact};
use crate::queue::Weigh;
use crate::store::{Gap, Moved};

/// The most events that go out together.
const BATCH: usize = 256;
/// A batch heavier than this goes out, too, so that long events do not pile up: 1 MiB.
const BATCH_WEIGHT: usize = 1 << 20;

/// What stands between the lines of an engine and the queue.
#[derive(Debug)]
pub(super) struct Intake {
    engine: Arc<str>,
    /// Events after this time are not wanted.
    until: Option<i64>,
    pub(super) cursor: Cursor,
    /// What the engine remembers and the stream did not bring yet.
    pub(super) suspects: Suspects,
    pub(super) outlet: Outlet,
    batch: Batch,
    /// The engine's own id, kept beside the position.
    pub(super) id: Option<Arc<str>>,
    /// An event has come that ends what the engine repeats.
    pub(super) replay_over: bool,
    /// How many events have come.
    pub(super) count: u64,
}

impl Intake {
    pub(super) fn new(engine: Arc<str>, until: Option<i64>, outlet: Outlet) -> Self {
        Self {
            engine,
            until,
            cursor: Cursor::default(),
            suspects: Suspects::default(),
            outlet,
            batch: Batch::default(),
            id: None,
            replay_over: false,
            count: 0,
        }
    }

    /// Takes a line of the stream.
    pub(super) fn line(&mut self, line: Line<'_>) {
        let (read, line) = match line {
            Line::Whole(line) => (parse::event(&self.engine, line), line),
            Line::TooLong { bytes, start } => (Err(Unreadable::new(bytes, start, "longer than 1 MiB")), start),
        };
        match read {
            Ok(event) => self.event(event, line),
            Err(unreadable) => {
                tracing::error!(engine = %self.engine, "{unreadable}");
                self.keep(unreadable.into_event(Arc::clone(&self.engine)), &[]);
            }
        }
    }

    fn event(&mut self, mut event: Event, line: &[u8]) {
        if self.until.is_some_and(|until| event.time_nanos > until) {
            return;
        }
        self.count += 1;
        let verdict = self.cursor.take(&event);
        if self.suspects.is_open() {
            let key = self.cursor.key(&event);
            self.suspects.brought(key);
        }
        // Not one that is known: after the engine's clock was set back those come from its future.
        self.replay_over |= verdict != Verdict::Known && self.cursor.ends_replay(&event);
        match verdict {
            Verdict::Known => return,
            Verdict::Late => event.facts.push((Fact::Late, "true".into())),
            Verdict::New => {}
        }
        self.keep(event, line);
    }

    fn keep(&mut self, event: Event, line: &[u8]) {
        self.batch.push(event, line);
        if self.batch.events.len() >= BATCH || self.batch.weight() >= BATCH_WEIGHT {
            self.flush();
        }
    }

    /// Compares what the engine remembers with what the stream has brought. Returns whether something is missing, or may be.
    pub(super) fn compare(&mut self, answer: Answer) -> bool {
        let until = answer.until;
        let found = self.suspects.add(answer, &mut self.cursor);
        if !self.suspects.is_open() {
            self.cursor.complete_until(until);
        }
        found
    }

    /// Takes what the engine remembers and the stream did not bring, and tells from when until when it was so: all in one
    /// batch, so that none of it is kept without the other.
    pub(super) fn decide(&mut self, idle: bool) {
        let Some(skipped) = self.suspects.decide(idle) else { return };
        self.flush();
        let gap = self.gap(&skipped);
        let is_forgotten = skipped.forgotten_until.is_some() || skipped.unproven.is_some();
        let reason = if skipped.events.is_empty() {
            "the engine may have dropped events because dockbell did not read fast enough"
        } else {
            "the engine dropped events because dockbell did not read fast enough"
        };
        self.cursor.recover(skipped.events.iter().map(|(event, _)| event));
        for (mut event, line) in skipped.events {
            event.facts.push((Fact::Late, "true".into()));
            self.batch.push(event, &line);
        }
        self.batch.push(self.outlet.missing(reason, gap), &[]);
        // What is found again needs no comparison.
        self.batch.gap = is_forgotten.then_some(gap);
        self.flush();
    }

    /// From the last event that the stream brought before the first that it skipped.
    fn gap(&self, skipped: &Skipped) -> Gap {
        let times = || skipped.events.iter().map(|(event, _)| event.time_nanos);
        let known = times().min().zip(times().max()).map(|(first, last)| Gap {
            from: self.cursor.before(first).unwrap_or(skipped.since).min(first),
            to: skipped.forgotten_until.unwrap_or(last),
        });
        match (known, skipped.unproven) {
            (Some(known), Some(unproven)) => known.and(unproven),
            (one, other) => one.or(other).unwrap_or(Gap { from: skipped.since, to: skipped.since }),
        }
    }

    /// Stores a position at which no gap is open any more; what happened in one that is not shown to be none is to be compared.
    pub(super) fn close_gap(&mut self, unproven: Option<Gap>) {
        let mut batch = Batch::default();
        (batch.moved, batch.gap) = (Some(self.position()), unproven);
        self.outlet.push(batch);
    }

    /// Whether nothing waits to go out.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.events.is_empty()
    }

    /// How far the stream was read. What is not handed over yet goes first.
    pub(super) fn position(&mut self) -> Moved {
        self.flush();
        Moved { engine_id: self.id.clone(), ..self.cursor.position() }
    }

    /// Hands over what there is.
    pub(super) fn flush(&mut self) {
        if self.batch.events.is_empty() {
            return;
        }
        // The next one is about as long: growing from nothing would move each event twice.
        let next = Batch::as_large_as(&self.batch);
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.moved = self.cursor.moved().map(|moved| Moved { engine_id: self.id.clone(), ..moved });
        self.outlet.push(batch);
    }
}
