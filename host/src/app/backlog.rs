//! What a route has missed, read from the journal.

use std::future::ready;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{line, patience};
use crate::event::Event;
use crate::store::{Batch, Store, StoreError};

/// Bytes of the journal that are read at once.
const READ: usize = 1 << 20;

/// Reads and parses what comes next while the route works on what came before.
pub(super) struct Backlog {
    store: Store,
    through: u64,
    /// What comes next; none when all was read.
    next: Option<BoxFuture<'static, Result<Vec<Stored>, StoreError>>>,
}

/// Events that were stored together.
#[derive(Debug)]
pub(super) struct Stored {
    /// When they came, by dockbell's clock.
    pub(super) received: Timestamp,
    /// The events with their sequence numbers.
    pub(super) events: Vec<(u64, Arc<Event>)>,
    /// Sequence number of the last line, be it an event or not.
    pub(super) last: u64,
}

impl Backlog {
    /// What is behind `after`, up to `through`.
    pub(super) fn new(store: &Store, after: u64, through: u64) -> Self {
        let mut backlog = Self { store: store.clone(), through, next: None };
        backlog.begin(after);
        backlog
    }

    /// The next events; none when all was read.
    ///
    /// # Errors
    /// The store is broken or closed.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Stored>>, StoreError> {
        let Some(next) = &mut self.next else { return Ok(None) };
        let stored = next.await?;
        self.next = None;
        let Some(last) = stored.last() else { return Ok(None) };
        self.begin(last.last);
        Ok(Some(stored))
    }

    fn begin(&mut self, after: u64) {
        if after >= self.through {
            return;
        }
        let store = self.store.clone();
        let mut next = async move { patience::wait(|| store.journal_as(after, READ, stored)).await }.boxed();
        // The first look at it asks the store, which then reads on a thread of its own.
        if let Some(done) = (&mut next).now_or_never() {
            next = ready(done).boxed();
        }
        self.next = Some(next);
    }
}

fn stored(batch: Batch) -> Stored {
    Stored { received: batch.received, last: batch.last(), events: line::events(&batch).collect() }
}
