//! The way from the reader to what is behind it: never waits, and counts what did not fit.

use std::sync::Arc;

use jiff::Timestamp;

use super::batch::Batch;
use crate::event::{Event, nanos};
use crate::queue::{Refused, Sender, Weigh};
use crate::store::Moved;

/// Puts batches of events into the queue. When the queue is full it counts, and tells the gap as soon as there is room.
#[derive(Debug)]
pub(super) struct Outlet {
    engine: Arc<str>,
    queue: Sender<Batch>,
    missed: Option<Missed>,
}

/// Events that did not fit.
#[derive(Debug, Clone, Copy)]
struct Missed {
    count: u64,
    from: i64,
    to: i64,
}

impl Outlet {
    pub(super) fn new(engine: Arc<str>, queue: Sender<Batch>) -> Self {
        Self { engine, queue, missed: None }
    }

    /// Hands a batch over, behind the gap if there is one.
    pub(super) fn push(&mut self, batch: Batch) {
        if batch.events.is_empty() {
            return;
        }
        self.tell_gap();
        if self.missed.is_some() {
            return self.miss(&batch.events);
        }
        // Where nobody takes events out any more, the reader is about to end.
        if let Err(Refused::Full(batch)) = self.queue.try_send(batch) {
            self.miss(&batch.events);
        }
    }

    /// Tells one of dockbell's own events, now.
    pub(super) fn tell(&mut self, action: &str, attributes: &[(&str, &str)]) {
        let attributes = attributes.iter().copied().collect();
        let event = Event::own(Arc::clone(&self.engine), action, nanos(Timestamp::now()), attributes);
        self.push(own(event));
    }

    /// Tells that events between two times are missing.
    /// `moved` is the position in the stream behind the gap.
    pub(super) fn tell_missing(&mut self, reason: &str, from: Timestamp, to: Timestamp, moved: Option<Moved>) {
        tracing::error!(engine = %self.engine, "events are missing between {from} and {to}: {reason}");
        let texts = [("from", from.to_string()), ("reason", reason.to_owned()), ("to", to.to_string())];
        let attributes = texts.into_iter().collect();
        let gap = Event::own(Arc::clone(&self.engine), "gap", nanos(Timestamp::now()), attributes);
        let mut batch = own(gap);
        batch.moved = moved;
        self.push(batch);
    }

    /// Whether there is a gap that could not be told yet.
    pub(super) fn is_behind(&self) -> bool {
        self.missed.is_some()
    }

    /// Waits until the gap can be told; for ever when there is none.
    pub(super) async fn room(&self) {
        match self.missed {
            Some(missed) => self.queue.room(own(self.gap(missed)).weight()).await,
            None => std::future::pending().await,
        }
    }

    /// Tells the gap if there is one and the queue has room for it.
    pub(super) fn tell_gap(&mut self) {
        let Some(missed) = self.missed else { return };
        if self.queue.try_send(own(self.gap(missed))).is_ok() {
            self.missed = None;
            tracing::error!(engine = %self.engine, "{} events were missed: dockbell fell behind", missed.count);
        }
    }

    fn miss(&mut self, batch: &[Event]) {
        for event in batch {
            let time = event.time_nanos;
            let missed = self.missed.get_or_insert(Missed { count: 0, from: time, to: time });
            missed.count += 1;
            missed.from = missed.from.min(time);
            missed.to = missed.to.max(time);
        }
    }

    fn gap(&self, missed: Missed) -> Event {
        let time = |nanos: i64| Timestamp::from_nanosecond(nanos.into()).unwrap_or_default().to_string();
        let texts = [
            ("from", time(missed.from)),
            ("missed", missed.count.to_string()),
            ("reason", "dockbell fell behind".to_owned()),
            ("to", time(missed.to)),
        ];
        let attributes = texts.into_iter().collect();
        Event::own(Arc::clone(&self.engine), "gap", nanos(Timestamp::now()), attributes)
    }
}

fn own(event: Event) -> Batch {
    let mut batch = Batch::default();
    batch.push(event, &[]);
    batch
}
