//! What runs: engines that are read and routes that tell. All of it can be exchanged for what another configuration says;
//! meanwhile events go on into the journal, and a route that was exchanged reads there what it has missed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::part::Part;
use super::prepared::{Current, Prepared};
use super::recorder::{Inlet, Inlets, Recorder};
use super::routes::Started;
use super::teller::{Shared, Teller};
use super::{patience, state};
use crate::engine::{self, End, Engine, Span};
use crate::queue::queue;
use crate::store::StoreError;

/// Memory that may wait between a reader and the journal, in bytes: about 150,000 events. More is counted as a gap.
const READ_QUEUE: u32 = 128 << 20;
/// How long a route that is exchanged may take to store how far it has come. Without that it is stopped as by a kill, and
/// some events are filtered once more.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// Memory that may wait before each route. What does not fit is read from the journal.
const ROUTE_QUEUE: u32 = 32 << 20;

/// The running engines and routes.
pub(super) struct Live {
    pub shared: Shared,
    pub inlets: Inlets,
    /// All tasks that must not fail.
    pub work: JoinSet<Result<(), StoreError>>,
    pub readers: JoinSet<End>,
    pub current: Arc<Current>,
    /// Ends all readers.
    pub stop: CancellationToken,
    span: Option<Span>,
    /// Ends when each engine of the start has said who it is, or could not be asked.
    recognised: mpsc::Receiver<Infallible>,
    routes: BTreeMap<String, Told>,
    engines: BTreeMap<String, Source>,
}

/// A route that tells.
struct Told {
    leave: CancellationToken,
    teller: Part,
}

/// An engine that is read.
struct Source {
    stop: CancellationToken,
    feed: Part,
}

/// What an exchange has changed, by name.
#[derive(Debug, Default)]
pub(super) struct Exchanged {
    pub routes: Vec<String>,
    pub routes_gone: Vec<String>,
    pub engines: Vec<String>,
    pub engines_gone: Vec<String>,
}

impl Live {
    /// Starts all that is prepared. The sinks are those of `shared`.
    ///
    /// # Errors
    /// The store is broken.
    pub(super) async fn start(
        prepared: Prepared,
        shared: Shared,
        span: Option<Span>,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let Prepared { current, routes, engines, .. } = prepared;
        let (asking, recognised) = mpsc::channel(1);
        let mut live = Self {
            shared,
            inlets: Inlets::default(),
            work: JoinSet::new(),
            readers: JoinSet::new(),
            current: Arc::new(current),
            stop,
            span,
            recognised,
            routes: BTreeMap::new(),
            engines: BTreeMap::new(),
        };
        for route in routes {
            live.tell(route).await?;
        }
        for engine in engines {
            live.read(engine, Some(asking.clone())).await?;
        }
        Ok(live)
    }

    /// Waits until it is known whether the store is that of the engines of the start; if not, its messages are held. An engine
    /// that does not answer makes this last 10 s.
    pub(super) async fn recognised(&mut self) {
        // Nothing is ever sent.
        let _ = self.recognised.recv().await;
    }

    /// Exchanges what has changed. A route that changed goes on from the store, as after a restart. One that is gone tells what
    /// it has, and of an engine that is gone what was read is stored, each within the grace time.
    ///
    /// # Errors
    /// The store is broken.
    pub(super) async fn exchange(&mut self, prepared: Prepared) -> Result<Exchanged, StoreError> {
        let Prepared { current, routes, kept, engines, writers, couriers } = prepared;
        let mut exchanged = Exchanged::default();
        let grace = current.config.grace;
        let gone: Vec<String> =
            self.routes.keys().filter(|name| !current.config.routes.contains_key(*name)).cloned().collect();
        for name in gone {
            self.inlets.close(&name);
            if let Some(route) = self.routes.remove(&name)
                && !route.teller.end_within(grace).await
            {
                tracing::error!(route = name, "the route did not end within the grace time");
            }
            exchanged.routes_gone.push(name);
        }
        let changed: Vec<String> = self.routes.keys().filter(|name| !kept.contains(*name)).cloned().collect();
        for name in changed {
            if let Some(route) = self.routes.remove(&name) {
                route.leave.cancel();
                route.teller.end_within(LEAVE_WITHIN).await;
            }
            // Not before: it would tell all that is open.
            self.inlets.close(&name);
        }
        self.shared.sinks.replace(writers);
        self.shared.outbox.exchange(couriers, grace).await;
        state::match_configuration(&self.shared.store, &current.config).await?;
        // A route that was stopped may have left messages behind of which no worker was told.
        self.shared.outbox.wake_all();
        for route in routes {
            exchanged.routes.push(route.route.name().to_string());
            self.tell(route).await?;
        }
        let gone: Vec<String> =
            self.engines.keys().filter(|name| !current.config.engines.contains_key(*name)).cloned().collect();
        for name in gone {
            self.leave(&name, grace).await;
            exchanged.engines_gone.push(name);
        }
        self.current = Arc::new(current);
        for engine in &engines {
            self.leave(engine.name(), grace).await;
            exchanged.engines.push(engine.name().to_string());
        }
        for engine in engines {
            self.read(engine, None).await?;
        }
        Ok(exchanged)
    }

    /// The tasks alone: from here on each ends when those before it have ended.
    pub(super) fn into_work(self) -> JoinSet<Result<(), StoreError>> {
        self.work
    }

    async fn tell(&mut self, Started { route, to }: Started) -> Result<(), StoreError> {
        let name = Arc::clone(route.name());
        tracing::info!(route = &*name, to = to.join(","), "telling");
        let teller = Teller::open(route, &to, self.shared.clone()).await?;
        let (inlet, arriving) = Inlet::new(ROUTE_QUEUE);
        self.inlets.open(&name, inlet);
        let leave = CancellationToken::new();
        let teller = Part::begin(&mut self.work, teller.run(arriving, leave.clone()));
        self.routes.insert(name.to_string(), Told { leave, teller });
        Ok(())
    }

    /// Reads an engine, from where an earlier run or configuration has stopped. At a start, `starting` is dropped when it is
    /// known which engine it is.
    async fn read(&mut self, engine: Engine, starting: Option<mpsc::Sender<Infallible>>) -> Result<(), StoreError> {
        let (store, name) = (&self.shared.store, Arc::clone(engine.name()));
        let (sender, receiver) = queue(READ_QUEUE);
        // A report about the past is none of the position.
        let resume = match self.span {
            Some(_) => None,
            None => patience::wait(|| store.cursor(&name)).await?,
        };
        let mut feed = Feed::new(engine.clone(), Recorder::new(store, &name, self.inlets.clone()));
        if self.span.is_none() {
            feed = feed.comparing(store.clone(), resume.as_ref()).await?;
        }
        if self.span.is_none() && resume.as_ref().is_none_or(|known| known.last_nanos.is_none()) {
            feed = feed.of_unknown(Timestamp::now());
        }
        let stop = self.stop.child_token();
        let (of, known, store, stopping) = (engine.clone(), resume.clone(), store.clone(), stop.clone());
        let feed = Part::begin(&mut self.work, async move {
            // Nothing is stored of another engine before the messages of the one before it are held.
            let another = tokio::select! {
                another = state::another(&store, &of, known.as_ref(), starting.is_some()) => another?,
                () = stopping.cancelled() => None,
            };
            drop(starting);
            let feed = match another {
                Some(id) => feed.of_another(id, known.as_ref()),
                None => feed,
            };
            feed.run(receiver).await
        });
        self.readers.spawn(engine::read(engine, self.span.unwrap_or_default(), resume, sender, stop.clone()));
        self.engines.insert(name.to_string(), Source { stop, feed });
        Ok(())
    }

    /// Reads an engine no longer. What could not be stored within the grace time is read again should it come back.
    async fn leave(&mut self, name: &str, grace: Duration) {
        let Some(source) = self.engines.remove(name) else { return };
        source.stop.cancel();
        if !source.feed.end_within(grace).await {
            tracing::warn!(engine = name, "what was read last could not be stored within the grace time");
        }
    }
}
