//! The events of one engine on their way to the routes: facts are added, then they are stored, then every route has them.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::{Batch, Engine};
use crate::event::Event;
use crate::lifecycle::{Inspected, Lifecycle};
use crate::queue::Receiver;
use crate::store::{EngineCursor, Moved, StoreError};

use super::recorder::Recorder;

/// Batches up to this size have their dead containers inspected; in a burst the event's own words must do.
const QUIET: usize = 8;

/// The way from one engine to all routes.
#[derive(Debug)]
pub struct Feed {
    engine: Engine,
    lifecycle: Lifecycle,
    recorder: Recorder,
    /// Stored before anything else.
    moved: Option<Moved>,
}

impl Feed {
    /// The way from an engine into the journal.
    #[must_use]
    pub fn new(engine: Engine, recorder: Recorder) -> Self {
        Self { engine, lifecycle: Lifecycle::new(), recorder, moved: None }
    }

    /// Nothing was ever read of this engine: should the program be killed before anything happens there, the next one begins
    /// where this one began, not at its own start.
    #[must_use]
    pub fn of_unknown(mut self, now: Timestamp) -> Self {
        let last_nanos = i64::try_from(now.as_nanosecond()).ok();
        self.moved = Some(Moved { engine_id: None, last_nanos, anchor: None, keys: Vec::new() });
        self
    }

    /// Another engine than the one that is known answers under the name: from now on the store is that of the engine `id`.
    /// The position stays: it is not found in what the new engine repeats, and so the gap is told even if the program is
    /// killed before the reader has told it.
    #[must_use]
    pub fn of_another(mut self, id: Arc<str>, position: Option<&EngineCursor>) -> Self {
        let (last_nanos, anchor) = position.map_or((None, None), |known| (known.last_nanos, known.anchor));
        self.moved = Some(Moved { engine_id: Some(id), last_nanos, anchor, keys: Vec::new() });
        self
    }

    /// Runs until the reader's queue ends and everything is stored.
    ///
    /// # Errors
    /// The store is broken or closed. What has no room is no error: it waits, and so does what comes behind it.
    pub async fn run(mut self, mut events: Receiver<Batch>) -> Result<(), StoreError> {
        if let Some(moved) = self.moved.take() {
            self.recorder.put(Vec::new(), |_| None, Some(moved)).await?;
        }
        let mut more = true;
        while more || !self.recorder.is_empty() {
            tokio::select! {
                biased;
                landed = self.recorder.landed() => self.recorder.settle(landed).await?,
                batch = events.recv(), if more && self.recorder.has_room() => match batch {
                    Some(batch) => self.take(batch).await?,
                    None => more = false,
                },
            }
        }
        Ok(())
    }

    async fn take(&mut self, mut batch: Batch) -> Result<(), StoreError> {
        let mut events = std::mem::take(&mut batch.events);
        let quiet = events.len() <= QUIET;
        for event in &mut events {
            if quiet && event.kind == "container" && event.action == "die" {
                let inspected = self.inspect(event).await;
                self.lifecycle.observe_inspected(event, inspected);
            } else {
                self.lifecycle.observe(event);
            }
        }
        let moved = batch.moved.take();
        self.recorder.put(events, |place| batch.line(place), moved).await
    }

    /// Asks the engine itself about a container that died: an image's labels can overwrite what the event says. One that
    /// runs again already, or is gone, has nothing to say about it.
    async fn inspect(&self, died: &Event) -> Inspected {
        match self.engine.inspect(&died.actor_id).await {
            Ok(Some(found)) if !found.running => Inspected { exit_code: found.exit_code, oom_killed: found.oom_killed },
            Ok(_) => Inspected::default(),
            Err(error) => {
                tracing::debug!("a container that died could not be inspected: {error}");
                Inspected::default()
            }
        }
    }
}
