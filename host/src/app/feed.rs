//! The events of one engine on their way to the routes: facts are added, then they are stored, then every route has them.

use crate::engine::{Batch, Engine};
use crate::event::Event;
use crate::lifecycle::{Inspected, Lifecycle};
use crate::queue::Receiver;
use crate::store::StoreError;

use super::recorder::Recorder;

/// Batches up to this size have their dead containers inspected; in a burst the event's own words must do.
const QUIET: usize = 8;

/// The way from one engine to all routes.
#[derive(Debug)]
pub struct Feed {
    engine: Engine,
    lifecycle: Lifecycle,
    recorder: Recorder,
}

impl Feed {
    /// The way from an engine into the journal.
    #[must_use]
    pub fn new(engine: Engine, recorder: Recorder) -> Self {
        Self { engine, lifecycle: Lifecycle::new(), recorder }
    }

    /// Runs until the reader's queue ends and everything is stored.
    ///
    /// # Errors
    /// The store is broken or closed. What has no room is no error: it waits, and so does what comes behind it.
    pub async fn run(mut self, mut events: Receiver<Batch>) -> Result<(), StoreError> {
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
