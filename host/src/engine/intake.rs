//! Lines become events, what is known is dropped, and what is ready goes out together.

use std::sync::Arc;

use super::audit::Suspects;
use super::batch::Batch;
use super::cursor::{Cursor, Verdict};
use super::line::Line;
use super::outlet::Outlet;
use super::parse::{self, Unreadable};
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
        let verdict = self.cursor.take(&event);
        if !self.suspects.is_empty()
            && let Some(key) = self.cursor.newest()
        {
            self.suspects.clear(key);
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

    /// Takes what the engine remembers and the stream did not bring, and tells from when until when it was so: all in one
    /// batch, so that none of it is kept without the other.
    pub(super) fn convict(&mut self) {
        let Some(skipped) = self.suspects.convict() else { return };
        self.flush();
        let from = self.cursor.before(skipped.first).unwrap_or(skipped.since).min(skipped.first);
        let gap = Gap { from, to: skipped.forgotten_until.unwrap_or(skipped.last) };
        let reason = "the engine dropped events because dockbell did not read fast enough";
        self.cursor.recover(skipped.events.iter().map(|(event, _)| event));
        for (mut event, line) in skipped.events {
            event.facts.push((Fact::Late, "true".into()));
            self.batch.push(event, &line);
        }
        self.batch.push(self.outlet.missing(reason, gap), &[]);
        // What is found again needs no comparison.
        self.batch.gap = skipped.forgotten_until.map(|_| gap);
        self.flush();
    }

    /// Whether the stream may still bring what an audit has found.
    pub(super) fn suspects_may_come(&self) -> bool {
        self.suspects.may_come(self.cursor.last_nanos())
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
