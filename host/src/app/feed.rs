//! The events of one engine on their way to the routes: facts are added, then they are stored, then every route has them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::patience;
use super::reconcile;
use super::recorder::Recorder;
use crate::engine::{Batch, Container, Engine};
use crate::event::Event;
use crate::lifecycle::{Containers, Inspected, Lifecycle};
use crate::queue::Receiver;
use crate::store::{Append, ContainerState, EngineCursor, Gap, Moved, Store, StoreError};

/// Batches up to this size have their dead containers inspected; in a burst the event's own words must do.
const QUIET: usize = 8;
/// How often what is known of the containers is stored, when it has changed.
const REMEMBER_EVERY: Duration = Duration::from_secs(10);
/// The first and the longest wait before an engine is asked again for the containers that it did not list.
const COMPARE_AGAIN: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(600)];

/// How long after a failure an engine is asked for its containers again; this doubles with each failure ...
const LEARN_AGAIN: Duration = Duration::from_secs(30);
/// ... up to this.
const LEARN_AT_LEAST_EVERY: Duration = Duration::from_secs(3600);

/// The way from one engine to all routes.
#[derive(Debug)]
pub struct Feed {
    engine: Engine,
    lifecycle: Lifecycle,
    recorder: Recorder,
    /// What is known of the containers, and where that outlives the program; none for a run that ends by itself.
    memory: Option<Memory>,
    /// The engine's own id, as it is stored.
    engine_id: Option<Arc<str>>,
    /// Stored before anything else.
    first: Option<Append>,
}

/// What is known of an engine's containers.
#[derive(Debug)]
struct Memory {
    containers: Containers,
    store: Store,
    /// Gaps that were told and not compared with the containers yet, the oldest first.
    gaps: Vec<Gap>,
    /// When that is done, and how long it is waited if it fails.
    compare_at: Instant,
    compare_again: Duration,
}

impl Feed {
    /// The way from an engine into the journal.
    #[must_use]
    pub fn new(engine: Engine, recorder: Recorder) -> Self {
        Self { engine, lifecycle: Lifecycle::new(), recorder, memory: None, engine_id: None, first: None }
    }

    /// The same, and after a gap it compares the containers with what was known of them, and tells what must have happened.
    /// A gap that an earlier run has told, but not compared, is compared now.
    ///
    /// # Errors
    /// The store is broken.
    pub async fn comparing(mut self, store: Store, position: Option<&EngineCursor>) -> Result<Self, StoreError> {
        self.engine_id = position.and_then(|position| position.engine_id.clone());
        let mut containers = Containers::default();
        let stored = patience::wait(|| store.containers(self.engine.name())).await?;
        containers.restore(stored.into_iter().filter_map(|ContainerState { id, state }| {
            // What an older program wrote may not be readable; the container is then seen as new.
            Some((id, serde_json::from_str(&state).ok()?))
        }));
        let gaps = patience::wait(|| store.gaps(self.engine.name())).await?;
        let [compare_again, _] = COMPARE_AGAIN;
        self.memory = Some(Memory { containers, store, gaps, compare_at: Instant::now(), compare_again });
        Ok(self)
    }

    /// Nothing was ever read of this engine: should the program be killed before anything happens there, the next one begins
    /// where this one began, not at its own start.
    #[must_use]
    pub fn of_unknown(mut self, now: Timestamp) -> Self {
        let last_nanos = i64::try_from(now.as_nanosecond()).ok();
        self.first = Some(Append { moved: Some(Moved { last_nanos, ..Moved::default() }), ..Append::default() });
        self
    }

    /// Another engine than the one that is known answers under the name: from now on the store is that of the engine `id`,
    /// and what is known of the other one's containers is forgotten. The position stays: it is not found in what the new
    /// engine repeats, and so the gap is told even if the program is killed before the reader has told it.
    #[must_use]
    pub fn of_another(mut self, id: Arc<str>, position: Option<&EngineCursor>) -> Self {
        let (last_nanos, anchor, gap) =
            position.map_or((None, None, None), |known| (known.last_nanos, known.anchor, known.gap));
        let moved = Moved { engine_id: Some(Arc::clone(&id)), last_nanos, anchor, gap, ..Moved::default() };
        let compared = self.is_now(id);
        let containers = compared.then(Vec::new);
        self.first = Some(Append { moved: Some(moved), containers, compared, ..Append::default() });
        self
    }

    /// Takes note of the engine's own id. What is known of another one's containers is nothing about this one's, and its gaps
    /// cannot be compared any more.
    fn is_now(&mut self, id: Arc<str>) -> bool {
        let another = self.engine_id.replace(Arc::clone(&id)).is_some_and(|before| before != id);
        if another && let Some(memory) = &mut self.memory {
            memory.containers.replace([]);
            memory.gaps.clear();
        }
        another
    }

    /// Runs until the reader's queue ends and everything is stored.
    ///
    /// # Errors
    /// The store is broken or closed. What has no room is no error: it waits, and so does what comes behind it.
    pub async fn run(mut self, mut events: Receiver<Batch>) -> Result<(), StoreError> {
        if let Some(first) = self.first.take() {
            self.recorder.put(Vec::new(), |_| None, first).await?;
        }
        let mut more = true;
        let mut remember_at = Instant::now() + REMEMBER_EVERY;
        let mut learning = self.learn();
        while more || !self.recorder.is_empty() {
            let compare_at =
                self.memory.as_ref().filter(|memory| !memory.gaps.is_empty()).map(|memory| memory.compare_at);
            tokio::select! {
                biased;
                landed = self.recorder.landed() => self.recorder.settle(landed).await?,
                Some(now) = &mut learning => {
                    if let Some(memory) = &mut self.memory {
                        let known = now.iter().map(|container| reconcile::remember(container, 0));
                        memory.containers.add(known.filter_map(|(id, known)| Some((id, known?))));
                    }
                }
                () = sleep_until(remember_at) => {
                    self.remember().await?;
                    remember_at = Instant::now() + REMEMBER_EVERY;
                }
                Some(()) = at(compare_at), if more && self.recorder.has_room() => self.compare().await?,
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
        let mut append = Append { moved: batch.moved.take(), gap: batch.gap, ..Append::default() };
        if let Some(id) = append.moved.as_ref().and_then(|moved| moved.engine_id.clone()) {
            append.compared = self.is_now(id);
        }
        let quiet = events.len() <= QUIET;
        for event in &mut events {
            if quiet && event.kind == "container" && event.action == "die" {
                let inspected = self.inspect(event).await;
                self.lifecycle.observe_inspected(event, inspected);
            } else {
                self.lifecycle.observe(event);
            }
            if let Some(memory) = &mut self.memory {
                memory.containers.observe(event);
            }
        }
        match &mut self.memory {
            Some(memory) => {
                memory.gaps.extend(append.gap);
                // While a gap is open, what was seen behind it must be known for the comparison, be it that of the next run.
                let open = append.moved.as_ref().is_some_and(|moved| moved.gap.is_some());
                append.containers = (open || append.compared).then(|| memory.states());
            }
            None => append.gap = None,
        }
        let compare = append.gap.is_some();
        self.recorder.put(events, |place| batch.line(place), append).await?;
        if compare { self.compare().await } else { Ok(()) }
    }

    /// Learns which containers there are, where nothing is known yet; meanwhile events go on.
    fn learn(&self) -> impl Future<Output = Option<Vec<Container>>> + use<> {
        let nothing_known = self.memory.as_ref().is_some_and(|memory| memory.containers.is_empty());
        let engine = nothing_known.then(|| self.engine.clone());
        let list = async move {
            let (engine, mut wait) = (engine?, LEARN_AGAIN);
            loop {
                if let Ok(list) = engine.containers().await {
                    return list;
                }
                // It may not run yet.
                sleep(wait).await;
                wait = (wait * 2).min(LEARN_AT_LEAST_EVERY);
            }
        };
        Box::pin(list.fuse())
    }

    /// Tells what must have happened in the gaps that were told. Where the engine does not list its containers now, it is
    /// asked again later, by the next run at the latest.
    async fn compare(&mut self) -> Result<(), StoreError> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        let engine = self.engine.name();
        let now = match self.engine.containers().await {
            Ok(Some(now)) => now,
            Ok(None) => {
                tracing::info!(%engine, "what happened in the gap is not known: the engine does not list its containers");
                memory.gaps.clear();
                let append = Append { compared: true, ..Append::default() };
                return self.recorder.put(Vec::new(), |_| None, append).await;
            }
            Err(error) => {
                tracing::warn!("what happened in the gap is not known yet: {error}");
                let [_, longest] = COMPARE_AGAIN;
                memory.compare_at = Instant::now() + memory.compare_again;
                memory.compare_again = (memory.compare_again * 2).min(longest);
                return Ok(());
            }
        };
        let mut events = reconcile::inferred(engine, &memory.gaps, &memory.containers, &now);
        let until = memory.gaps.last().map_or(0, |gap| gap.to);
        memory.containers.replace(now.iter().map(|container| reconcile::remember(container, until)));
        memory.gaps.clear();
        [memory.compare_again, _] = COMPARE_AGAIN;
        for event in &mut events {
            self.lifecycle.infer(event);
        }
        let append = Append { containers: Some(memory.states()), compared: true, ..Append::default() };
        self.recorder.put(events, |_| None, append).await
    }

    /// Stores what is known of the containers. While events cannot be stored it waits: it must not be ahead of them.
    async fn remember(&mut self) -> Result<(), StoreError> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        if self.recorder.is_failing() || !memory.containers.take_change() {
            return Ok(());
        }
        match memory.store.replace_containers(self.engine.name(), memory.states()).await {
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

impl Memory {
    /// What is known, as it is stored.
    fn states(&self) -> Vec<ContainerState> {
        let state = |known| serde_json::to_string(known).unwrap_or_default();
        self.containers.iter().map(|(id, known)| ContainerState { id: id.to_owned(), state: state(known) }).collect()
    }
}

/// Waits until then; `None` at once where there is no time.
async fn at(time: Option<Instant>) -> Option<()> {
    sleep_until(time?).await;
    Some(())
}
