//! Lines become events, what is known is dropped, and what is ready goes out together.

use std::sync::Arc;

use super::cursor::{Cursor, Verdict};
use super::line::Line;
use super::outlet::Outlet;
use super::parse::{self, Unreadable};
use crate::event::{Event, Fact};

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
    pub(super) outlet: Outlet,
    batch: Vec<Event>,
    weight: usize,
    /// An event has come that ends what the engine repeats.
    pub(super) replay_over: bool,
}

impl Intake {
    pub(super) fn new(engine: Arc<str>, until: Option<i64>, outlet: Outlet) -> Self {
        Self { engine, until, cursor: Cursor::default(), outlet, batch: Vec::new(), weight: 0, replay_over: false }
    }

    /// Takes a line of the stream.
    pub(super) fn line(&mut self, line: Line<'_>) {
        let read = match line {
            Line::Whole(line) => parse::event(&self.engine, line),
            Line::TooLong { bytes, start } => Err(Unreadable::new(bytes, start, "longer than 1 MiB")),
        };
        match read {
            Ok(event) => self.event(event),
            Err(unreadable) => {
                tracing::error!(engine = %self.engine, "{unreadable}");
                self.keep(unreadable.into_event(Arc::clone(&self.engine)));
            }
        }
    }

    fn event(&mut self, mut event: Event) {
        if self.until.is_some_and(|until| event.time_nanos > until) {
            return;
        }
        let verdict = self.cursor.take(&event);
        // Not one that is known: after the engine's clock was set back those come from its future.
        self.replay_over |= verdict != Verdict::Known && self.cursor.ends_replay(&event);
        match verdict {
            Verdict::Known => return,
            Verdict::Late => event.facts.push((Fact::Late, "true".to_owned())),
            Verdict::New => {}
        }
        self.keep(event);
    }

    fn keep(&mut self, event: Event) {
        self.weight += event.weight();
        self.batch.push(event);
        if self.batch.len() >= BATCH || self.weight >= BATCH_WEIGHT {
            self.flush();
        }
    }

    /// Whether nothing waits to go out.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Hands over what there is.
    pub(super) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.weight = 0;
        // The next one is about as long: growing from nothing would move each event twice.
        let next = Vec::with_capacity(self.batch.len());
        self.outlet.push(std::mem::replace(&mut self.batch, next));
    }
}
