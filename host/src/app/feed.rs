//! The events of one engine on their way to the routes: facts are added, then they are stored, then every route has them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::patience;
use super::reconcile::{self, Gap};
use super::recorder::Recorder;
use crate::engine::{Batch, Container, Engine};
use crate::event::{Event, OWN_KIND};
use crate::lifecycle::{Containers, Inspected, Lifecycle};
use crate::queue::Receiver;
use crate::store::{ContainerState, EngineCursor, Moved, Store, StoreError};

/// Batches up to this size have their dead containers inspected; in a burst the event's own words must do.
const QUIET: usize = 8;
/// How often what is known of the containers is stored, when it has changed.
const REMEMBER_EVERY: Duration = Duration::from_secs(10);

/// How often an engine that could not be reached is asked for its containers.
const LEARN_EVERY: Duration = Duration::from_secs(30);

/// The way from one engine to all routes.
#[derive(Debug)]
pub struct Feed {
    engine: Engine,
    lifecycle: Lifecycle,
    recorder: Recorder,
    /// What is known of the containers, and where that outlives the program; none for a run that ends by itself.
    memory: Option<(Containers, Store)>,
    /// Stored before anything else.
    moved: Option<Moved>,
}

impl Feed {
    /// The way from an engine into the journal.
    #[must_use]
    pub fn new(engine: Engine, recorder: Recorder) -> Self {
        Self { engine, lifecycle: Lifecycle::new(), recorder, memory: None, moved: None }
    }

    /// The same, and after a gap it compares the containers with what was known of them, and tells what must have happened.
    ///
    /// # Errors
    /// The store is broken.
    pub async fn comparing(mut self, store: Store) -> Result<Self, StoreError> {
        let mut containers = Containers::default();
        let stored = patience::wait(|| store.containers(self.engine.name())).await?;
        containers.restore(stored.into_iter().filter_map(|ContainerState { id, state }| {
            // What an older program wrote may not be readable; the container is then seen as new.
            Some((id, serde_json::from_str(&state).ok()?))
        }));
        self.memory = Some((containers, store));
        Ok(self)
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
        let mut remember_at = Instant::now() + REMEMBER_EVERY;
        let mut learning = self.learn();
        while more || !self.recorder.is_empty() {
            tokio::select! {
                biased;
                landed = self.recorder.landed() => self.recorder.settle(landed).await?,
                Some(now) = &mut learning => {
                    if let Some((containers, _)) = &mut self.memory {
                        containers.add(now.iter().map(reconcile::remember));
                    }
                }
                () = sleep_until(remember_at) => {
                    self.remember().await?;
                    remember_at = Instant::now() + REMEMBER_EVERY;
                }
                batch = events.recv(), if more && self.recorder.has_room() => match batch {
                    Some(batch) => self.take(batch).await?,
                    None => more = false,
                },
            }
        }
        self.remember().await
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
            if let Some((containers, _)) = &mut self.memory {
                containers.observe(event);
            }
        }
        let gaps: Vec<Gap> = events.iter().filter_map(gap).collect();
        let moved = batch.moved.take();
        self.recorder.put(events, |place| batch.line(place), moved).await?;
        for gap in gaps {
            self.reconcile(gap).await?;
        }
        Ok(())
    }

    /// Learns which containers there are, where nothing is known yet; meanwhile events go on.
    fn learn(&self) -> impl Future<Output = Option<Vec<Container>>> + use<> {
        let nothing_known = self.memory.as_ref().is_some_and(|(containers, _)| containers.is_empty());
        let engine = nothing_known.then(|| self.engine.clone());
        let list = async move {
            let engine = engine?;
            loop {
                match engine.containers().await {
                    Ok(list) => return list,
                    // It may not run yet.
                    Err(_) => sleep(LEARN_EVERY).await,
                }
            }
        };
        Box::pin(list.fuse())
    }

    /// Tells what must have happened in a gap.
    async fn reconcile(&mut self, gap: Gap) -> Result<(), StoreError> {
        let Some((containers, _)) = &mut self.memory else { return Ok(()) };
        let engine = self.engine.name();
        let now = match self.engine.containers().await {
            Ok(Some(now)) => now,
            Ok(None) => {
                tracing::info!(%engine, "what happened in the gap is not known: the engine does not list its containers");
                return Ok(());
            }
            Err(error) => {
                tracing::warn!("what happened in the gap is not known: {error}");
                return Ok(());
            }
        };
        let mut events = reconcile::inferred(engine, gap, containers, &now);
        for event in &mut events {
            self.lifecycle.infer(event);
        }
        containers.replace(now.iter().map(reconcile::remember));
        if !events.is_empty() {
            self.recorder.put(events, |_| None, None).await?;
        }
        self.remember().await
    }

    /// Stores what is known of the containers.
    async fn remember(&mut self) -> Result<(), StoreError> {
        let Some((containers, store)) = &mut self.memory else { return Ok(()) };
        if !containers.take_change() {
            return Ok(());
        }
        let state = |known| serde_json::to_string(known).unwrap_or_default();
        let all =
            containers.iter().map(|(id, known)| ContainerState { id: id.to_owned(), state: state(known) }).collect();
        match store.replace_containers(self.engine.name(), all).await {
            // The next change brings it along.
            Err(error) if error.is_passing() => Ok(()),
            stored => stored,
        }
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

/// The gap that an event of the reader tells; one that says from when until when events are missing.
fn gap(event: &Event) -> Option<Gap> {
    if event.kind == OWN_KIND && event.action == "gap" { Gap::of(event) } else { None }
}
