//! A run: engines are read, routes tell, until a signal comes or the time to look at has ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::own::{self, Own};
use super::recorder::{Inlet, Recorder};
use super::routes::{self, Started, Telling};
use super::states::States;
use super::teller::{Shared, Teller};
use super::{letters, patience, sinks, state, upkeep};
use crate::config::{Config, Output};
use crate::deliver::{Alarm, Outbox, Retry, Sinks, Trouble};
use crate::engine::{self, Engine, Span};
use crate::event::{Event, OWN_KIND};
use crate::plugin::Runtime;
use crate::queue::queue;
use crate::store::{Place, StoreError};

/// Memory that may wait between a reader and the journal, in bytes: about 60,000 events. More is counted as a gap.
const READ_QUEUE: u32 = 64 << 20;
/// Memory that may wait before each route. What does not fit is read from the journal.
const ROUTE_QUEUE: u32 = 32 << 20;

/// What decides how a run goes, beside the configuration.
#[derive(Debug)]
pub struct Settings {
    /// How messages on the terminal look; else as the configuration says.
    pub output: Option<Output>,
    /// A run that ends by itself and tells one digest; else it runs until it is stopped.
    pub span: Option<Span>,
    /// Where events and messages are kept.
    pub place: Place,
}

/// Everything started and ready to run.
#[derive(Debug)]
pub struct Watch {
    engines: Vec<Engine>,
    strangers: state::Strangers,
    tellers: Vec<Teller>,
    states: States,
    shared: Shared,
    own_events: UnboundedReceiver<Event>,
    span: Option<Span>,
    grace: Duration,
    /// Keeps the clock of the plugins going.
    _runtime: Runtime,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every message was delivered, or is kept for the next start.
    Well,
    /// Some messages could not be delivered and are lost; the log says which.
    Lost,
}

impl Watch {
    /// Starts plugins, routes and sinks, opens the store, and looks whether the engines answer. With a span the run ends by
    /// itself and tells one digest.
    ///
    /// # Errors
    /// A plugin that is refused, a sink or a state directory that cannot be used, or not a single engine that answers.
    pub async fn start(config: Config, settings: Settings) -> anyhow::Result<Self> {
        let Settings { output, span, place } = settings;
        let runtime = routes::runtime()?;
        let plugins = routes::load_plugins(&config, &runtime)?;
        let telling = if span.is_some() { Telling::AtEnd } else { Telling::InWindows };
        let writers = Arc::new(Sinks::new(sinks::open(&config, output)?));
        let couriers = sinks::open(&config, output)?;
        let (own, own_events) = Own::new();
        let store = state::open(place, &own).await?;
        let states = States::load(&store, &config).await?;
        let routes = routes::start(&config, &plugins, &states, telling).await?;
        let engines = reach(&config, span.is_some()).await?;
        let strangers = state::recognise(&store, &engines).await?;
        state::match_configuration(&store, &config).await?;
        states.forget_others(&store).await?;
        let alarm = alarm(own.clone());
        let outbox = Arc::new(Outbox::start(store.clone(), couriers, Retry::default(), &alarm));
        if let Some(state) = store.path().parent().filter(|_| !store.is_in_memory()) {
            letters::answer(state, store.clone(), Arc::clone(&outbox));
        }
        let shared = Shared { store, outbox, sinks: writers, own };
        let mut tellers = Vec::new();
        for Started { route, to } in routes {
            tracing::info!(route = &**route.name(), to = to.join(","), "telling");
            tellers.push(Teller::open(route, &to, shared.clone()).await?);
        }
        Ok(Self {
            engines,
            strangers,
            tellers,
            states,
            shared,
            own_events,
            span,
            grace: config.grace,
            _runtime: runtime,
        })
    }

    /// Runs until `stop` is cancelled, the span has ended, or nobody is left to tell (`dockbell | head`). Then what is open
    /// is told and delivered, within `grace`.
    ///
    /// # Errors
    /// The store does not work any more, or a part of dockbell failed: the program has to end, and its next start goes on
    /// with what is whole. A route that is gone, while the others run, would be silent for ever.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<Ended> {
        let Self { engines, mut strangers, tellers, states, shared, own_events, span, grace, .. } = self;
        let Shared { store, outbox, own, .. } = shared;
        // Each ends the next: readers their feeds, feeds the routes.
        let mut work = JoinSet::new();
        let mut inlets = Vec::new();
        for teller in tellers {
            let (inlet, arriving) = Inlet::new(ROUTE_QUEUE);
            inlets.push(inlet);
            work.spawn(teller.run(arriving));
        }
        let mut readers = JoinSet::new();
        for engine in engines {
            let (sender, receiver) = queue(READ_QUEUE);
            // A report about the past is none of the position.
            let resume = match span {
                Some(_) => None,
                None => patience::wait(|| store.cursor(engine.name())).await?,
            };
            let mut feed = Feed::new(engine.clone(), Recorder::new(&store, engine.name(), inlets.clone()));
            if let Some(id) = strangers.remove(engine.name()) {
                feed = feed.of_another(id, resume.as_ref());
            } else if span.is_none() && resume.as_ref().is_none_or(|known| known.last_nanos.is_none()) {
                feed = feed.of_unknown(Timestamp::now());
            }
            if span.is_none() {
                feed = feed.comparing(store.clone()).await?;
            }
            work.spawn(feed.run(receiver));
            readers.spawn(engine::read(engine, span.unwrap_or_default(), resume, sender, stop.clone()));
        }
        if span.is_none() {
            own.say("started", &[("version", env!("CARGO_PKG_VERSION"))]);
        }
        let ending = CancellationToken::new();
        work.spawn(own::run(own_events, Recorder::new(&store, OWN_KIND, inlets), ending.clone()));
        let upkeep = work.spawn(upkeep::run(store.clone(), own.clone()));
        let keeping = work.spawn(states.clone().keep(store.clone()));

        let read = async { while readers.join_next().await.is_some() {} };
        tokio::select! {
            () = read => {}
            () = stop.cancelled() => {}
            () = outbox.all_gone() => stop.cancel(),
            error = outbox.broken() => return Err(error.into()),
            error = broken(&mut work) => return Err(error),
        }
        upkeep.abort();
        keeping.abort();
        if span.is_none() {
            own.say("stopped", &[]);
        }
        ending.cancel();
        let deadline = Instant::now() + grace;
        let mut failed = None;
        let told = async {
            while let Some(done) = work.join_next().await {
                failed = failed.take().or(failure(done));
            }
        };
        if timeout_at(deadline, told).await.is_err() {
            tracing::error!("a route did not end within the grace time: the rest is told after the next start");
        }
        work.shutdown().await;
        states.save(&store).await?;
        let undelivered = outbox.close(deadline.saturating_duration_since(Instant::now())).await;
        store.close().await?;
        match failed {
            Some(error) => Err(error),
            None => Ok(if undelivered.lost() == 0 { Ended::Well } else { Ended::Lost }),
        }
    }
}

/// Waits until a part of the program found the store broken, or failed itself.
async fn broken(work: &mut JoinSet<Result<(), StoreError>>) -> anyhow::Error {
    while let Some(ended) = work.join_next().await {
        if let Some(error) = failure(ended) {
            return error;
        }
    }
    std::future::pending().await
}

/// Why a part of the program ended, unless it ended well or was told to.
fn failure(ended: Result<Result<(), StoreError>, JoinError>) -> Option<anyhow::Error> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.into()),
        Err(end) if end.is_cancelled() => None,
        Err(panic) => Some(anyhow::anyhow!("a part of dockbell failed: {panic}; please report this")),
    }
}

/// Trouble with deliveries as own events.
fn alarm(own: Own) -> Alarm {
    Alarm::new(move |trouble| match trouble {
        Trouble::SinkFailed { sink, error } => own.say("sink_failed", &[("error", &error), ("sink", &sink)]),
        Trouble::DeadLetter { sink, id, subject, error } => own.dead_letter(&sink, id, &subject, &error),
    })
}

/// Looks whether the engines answer. While one of them does, the others are tried again as long as dockbell runs; a run that
/// ends by itself needs all of them.
async fn reach(config: &Config, all: bool) -> anyhow::Result<Vec<Engine>> {
    let mut engines = Vec::new();
    let mut silent = Vec::new();
    for (name, table) in &config.engines {
        let engine = Engine::new(name.as_str().into(), table)?;
        match engine.describe().await {
            Ok(description) => tracing::debug!(engine = &**name, "{description} at {}", engine.address()),
            Err(error) => silent.push(error),
        }
        engines.push(engine);
    }
    let too_few = if all { !silent.is_empty() } else { silent.len() == engines.len() };
    for error in silent {
        if too_few {
            return Err(error.into());
        }
        tracing::error!("{error}");
    }
    Ok(engines)
}
