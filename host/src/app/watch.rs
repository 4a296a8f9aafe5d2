//! A run: engines are read, routes tell, until a signal comes or the time to look at has ended.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::components::Shelf;
use super::live::Live;
use super::own::{self, Own};
use super::prepared::{Prepared, Workshop};
use super::recorder::Recorder;
use super::reload::{Reload, ReloadStats, Reloads};
use super::routes::{self, Telling};
use super::states::States;
use super::teller::Shared;
use super::{letters, state, upkeep};
use crate::config::{Config, Output};
use crate::deliver::{Alarm, Outbox, Retry, Sinks, Trouble};
use crate::engine::{Engine, Span};
use crate::event::{Event, OWN_KIND};
use crate::store::{Place, StoreError};

/// What decides how a run goes, beside the configuration.
#[derive(Debug)]
pub struct Settings {
    /// How messages on the terminal look; else as the configuration says.
    pub output: Option<Output>,
    /// A run that ends by itself and tells one digest; else it runs until it is stopped.
    pub span: Option<Span>,
    /// Where events and messages are kept.
    pub place: Place,
    /// How the configuration is read again; none for a run that keeps its own.
    pub reload: Option<Reload>,
}

/// Everything started and ready to run.
pub struct Watch {
    prepared: Prepared,
    strangers: state::Strangers,
    shared: Shared,
    own_events: UnboundedReceiver<Event>,
    span: Option<Span>,
    reloads: Option<Reloads>,
    stats: watch::Receiver<ReloadStats>,
    workshop: Arc<Workshop>,
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
        let Settings { output, span, place, reload } = settings;
        let runtime = Arc::new(routes::runtime()?);
        let (counts, stats) = watch::channel(ReloadStats::default());
        let telling = if span.is_some() { Telling::AtEnd } else { Telling::InWindows };
        let shelf = Shelf::of(&place);
        let (own, own_events) = Own::new();
        let store = state::open(place, &own).await?;
        let states = States::kept(store.clone());
        let workshop = Arc::new(Workshop { runtime, shelf, states, telling, output });
        // Before anything is read of the files that it watches.
        let reloads = reload.map(|how| Reloads::new(how, &config, Arc::clone(&workshop), counts));
        let mut prepared = Prepared::of(config, None, &workshop).await?;
        let (writers, couriers) = (std::mem::take(&mut prepared.writers), std::mem::take(&mut prepared.couriers));
        reach(&prepared.engines, span.is_some()).await?;
        let strangers = state::recognise(&store, &prepared.engines).await?;
        state::match_configuration(&store, &prepared.current.config).await?;
        workshop.states.match_configuration(&prepared.current.config).await?;
        let alarm = alarm(own.clone());
        let outbox = Arc::new(Outbox::start(store.clone(), couriers, Retry::default(), &alarm));
        if let Some(state) = store.path().parent().filter(|_| !store.is_in_memory()) {
            letters::answer(state, store.clone(), Arc::clone(&outbox));
        }
        let shared = Shared { store, outbox, sinks: Arc::new(Sinks::new(writers)), own };
        Ok(Self { prepared, strangers, shared, own_events, span, reloads, stats, workshop })
    }

    /// How often the configuration was read again, as it changes.
    #[must_use]
    pub fn reloads(&self) -> watch::Receiver<ReloadStats> {
        self.stats.clone()
    }

    /// Runs until `stop` is cancelled, the span has ended, or nobody is left to tell (`dockbell | head`). Then what is open
    /// is told and delivered, within `grace`.
    ///
    /// # Errors
    /// The store does not work any more, its directory is gone, or a part of dockbell failed: the program has to end, and its next start goes on
    /// with what is whole. A route that is gone, while the others run, would be silent for ever.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<Ended> {
        // The workshop keeps the clock of the plugins going.
        let Self { prepared, strangers, shared, own_events, span, mut reloads, workshop, .. } = self;
        let Shared { store, outbox, own, .. } = shared.clone();
        let states = &workshop.states;
        let mut live = Live::start(prepared, strangers, shared, span, stop.child_token()).await?;
        if span.is_none() {
            own.say("started", &[("version", env!("CARGO_PKG_VERSION"))]);
        }
        let ending = CancellationToken::new();
        live.work.spawn(own::run(own_events, Recorder::new(&store, OWN_KIND, live.inlets.clone()), ending.clone()));
        let upkeep = live.work.spawn(upkeep::run(store.clone(), own.clone()));
        let keeping = live.work.spawn(states.clone().keep());

        let mut gone = None;
        loop {
            let Live { readers, work, current, .. } = &mut live;
            let read = async { while readers.join_next().await.is_some() {} };
            let reload = async {
                match &mut reloads {
                    Some(reloads) => (reloads.next(current).await, &*reloads),
                    None => std::future::pending().await,
                }
            };
            let (prepared, reloads) = tokio::select! {
                () = read => break,
                () = stop.cancelled() => break,
                () = outbox.all_gone() => break,
                error = outbox.broken() => return Err(error.into()),
                error = upkeep::gone(&store) => {
                    gone = Some(error);
                    break;
                }
                error = broken(work) => return Err(error),
                prepared = reload => prepared,
            };
            match prepared {
                Ok(prepared) => {
                    reloads.worked(&live.exchange(prepared).await?, &own);
                    states.match_configuration(&live.current.config).await?;
                }
                Err(error) => reloads.failed(&error, &own),
            }
        }
        live.stop.cancel();
        let (grace, mut work) = (live.current.config.grace, live.into_work());
        upkeep.abort();
        keeping.abort();
        if let Some(error) = &gone {
            tracing::error!("{error}");
            own.say("gap", &[("reason", &error.to_string())]);
        }
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
        states.save().await?;
        let undelivered = outbox.close(deadline.saturating_duration_since(Instant::now())).await;
        store.close().await?;
        if let Some(error) = gone {
            // Files that are still open were written to as long as that was of use.
            if !undelivered.sinks.is_empty() {
                tracing::error!("{undelivered}; they are lost with the state directory");
            }
            return Err(error.into());
        }
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
async fn reach(engines: &[Engine], all: bool) -> anyhow::Result<()> {
    let mut silent = Vec::new();
    for engine in engines {
        match engine.describe().await {
            Ok(description) => tracing::debug!(engine = &**engine.name(), "{description} at {}", engine.address()),
            Err(error) => silent.push(error),
        }
    }
    let too_few = if all { !silent.is_empty() } else { silent.len() == engines.len() };
    for error in silent {
        if too_few {
            return Err(error.into());
        }
        tracing::error!("{error}");
    }
    Ok(())
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("span", &self.span).field("shared", &self.shared).finish_non_exhaustive()
    }
}
