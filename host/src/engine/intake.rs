//! Lines become events, what is known is dropped, and what is ready goes out together.

use std::sync::Arc;

use super::audit::Suspects;
use super::batch::Batch;
use super::cursor::{Cursor, Verdict};
use super::line::Line;
use super::outlet::Outlet;
use super::parse::{self, Unreadable};
use jiff::Timestamp;

use crate::event::{Event, Fact};
use crate::queue::Weigh;
use crate::store::Moved;

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

    /// Takes what the engine remembers and the stream did not bring, and tells from when until when it was so.
    pub(super) fn convict(&mut self) {
        let skipped = self.suspects.convict();
        let (Some((first, _)), Some((last, _))) = (skipped.first(), skipped.last()) else { return };
        let time = |event: &Event| Timestamp::from_nanosecond(event.time_nanos.into()).unwrap_or_default();
        let (from, to) = (time(first), time(last));
        for (mut event, line) in skipped {
            self.cursor.take(&event);
            event.facts.push((Fact::Late, "true".into()));
            self.keep(event, &line);
        }
        self.flush();
        self.outlet.tell_missing("the engine dropped events because dockbell did not read fast enough", from, to, None);
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
