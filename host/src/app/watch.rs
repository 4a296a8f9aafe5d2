//! A run: engines are read, routes tell, until a signal comes or the time to look at has ended.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use futures_util::future::join_all;
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
use super::{letters, patience, state, twins, upkeep};
use crate::config::{Config, Output};
use crate::deliver::{Alarm, Courier, Outbox, Retry, Sinks, Trouble};
use crate::engine::{Engine, Span};
use crate::event::{Event, OWN_KIND};
use crate::route::room::Room;
use crate::store::{Filter, MessageState, Place, Store, StoreError};

/// How much longer than the grace time a stop may take to close the store.
const CLOSING: Duration = Duration::from_secs(3);

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
    /// Those that deliver, where they have to wait until it is known whose messages they are.
    held: Option<Vec<(String, Courier)>>,
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
    /// Opens the store and prepares plugins, routes and sinks. With a span the run ends by itself and tells one digest; it needs
    /// engines that answer, while any other run waits for those that do not.
    ///
    /// Returns `None` if `stop` is cancelled meanwhile: what was being compiled or configured is ended, and the store is closed.
    ///
    /// # Errors
    /// Fails if a plugin is refused, a sink or the state directory cannot be used, or an engine does not answer a run with a
    /// span.
    pub async fn start(config: Config, settings: Settings, stop: &CancellationToken) -> anyhow::Result<Option<Self>> {
        let Settings { output, span, place, reload } = settings;
        let runtime = Arc::new(routes::runtime()?);
        let telling = if span.is_some() { Telling::AtEnd } else { Telling::InWindows };
        let shelf = Shelf::of(&place);
        let (own, own_events) = Own::new();
        let grace = config.grace;
        let store = match span {
            Some(_) => state::open_for_report(place, &own).await?,
            None => state::open(place, &own).await?,
        };
        let states = match span {
            Some(_) => States::fleeting(&config),
            None => States::kept(store.clone()),
        };
        let workshop = Arc::new(Workshop { runtime, shelf, states, telling, room: Room::default(), output });
        let preparing = Self::prepare(config, span, reload, store.clone(), (own, own_events), Arc::clone(&workshop));
        let prepared = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            prepared = preparing => Some(prepared),
        };
        if let Some(Ok(watch)) = prepared {
            return Ok(Some(watch));
        }
        workshop.runtime.stop_compiling().await;
        let closed = in_time(&store, Instant::now() + grace, async { Ok(store.close().await?) }).await;
        match prepared {
            Some(Err(error)) => Err(error),
            _ => closed.map(|()| None),
        }
    }

    async fn prepare(
        config: Config,
        span: Option<Span>,
        reload: Option<Reload>,
        store: Store,
        (own, own_events): (Own, UnboundedReceiver<Event>),
        workshop: Arc<Workshop>,
    ) -> anyhow::Result<Self> {
        let (counts, stats) = watch::channel(ReloadStats::default());
        // Before anything is read of the files that it watches.
        let reloads = reload.map(|how| Reloads::new(how, &config, Arc::clone(&workshop), counts));
        let mut prepared = Prepared::of(config, None, &workshop).await?;
        let (writers, couriers) = (std::mem::take(&mut prepared.writers), std::mem::take(&mut prepared.couriers));
        if span.is_some() {
            reach(&prepared.engines).await?;
        }
        let engines = prepared.engines.clone();
        tokio::spawn(async move { twins::warn(&engines).await });
        state::match_configuration(&store, &prepared.current.config).await?;
        workshop.states.match_configuration(&prepared.current.config).await?;
        // Messages of an earlier run may be another host's.
        let waiting = Filter { states: vec![MessageState::Pending], most: 1, ..Filter::default() };
        let (couriers, held) = match patience::wait(|| store.messages(waiting.clone())).await?.is_empty() {
            true => (couriers, None),
            false => (Vec::new(), Some(couriers)),
        };
        let outbox = Arc::new(Outbox::start(store.clone(), couriers, Retry::default(), &alarm(own.clone())));
        if let Some(state) = store.path().parent().filter(|_| !store.is_in_memory()) {
            letters::answer(state, store.clone(), Arc::clone(&outbox));
        }
        let shared = Shared { store, outbox, sinks: Arc::new(Sinks::new(writers)), own };
        Ok(Self { prepared, held, shared, own_events, span, reloads, stats, workshop })
    }

    /// How often the configuration was read again, as it changes.
    #[must_use]
    pub fn reloads(&self) -> watch::Receiver<ReloadStats> {
        self.stats.clone()
    }

    /// Runs until `stop` is cancelled, the span has ended, or nobody is left to tell (`dockbell | head`). Then what is open
    /// is told and delivered, within `grace`; closing the store may take 3 s more.
    ///
    /// # Errors
    /// The store does not work any more, its directory is gone, or a part of dockbell failed: the program has to end, and its
    /// next start goes on with what is whole. A route that is gone, while the others run, would be silent for ever. Also when
    /// the store could not be closed in time.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<Ended> {
        // The workshop keeps the clock of the plugins going.
        let Self { prepared, held, shared, own_events, span, mut reloads, workshop, .. } = self;
        let Shared { store, outbox, own, .. } = shared.clone();
        let states = &workshop.states;
        let grace = prepared.current.config.grace;
        let started = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            started = Live::start(prepared, shared, span, stop.child_token()) => Some(started?),
        };
        let Some(mut live) = started else {
            return in_time(&store, Instant::now() + grace, async { Ok(store.close().await?) })
                .await
                .map(|()| Ended::Well);
        };
        if span.is_none() {
            own.say("started", &[("version", env!("CARGO_PKG_VERSION"))]);
        }
        let ending = CancellationToken::new();
        live.work.spawn(own::run(own_events, Recorder::new(&store, OWN_KIND, live.inlets.clone()), ending.clone()));
        let upkeep = live.work.spawn(upkeep::run(store.clone(), own.clone()));
        let keeping = live.work.spawn(states.clone().keep());

        if let Some(couriers) = held {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = live.recognised() => outbox.exchange(couriers, Duration::ZERO).await,
            }
        }
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
                    let exchange = async {
                        reloads.worked(&live.exchange(prepared).await?, &own);
                        states.match_configuration(&live.current.config).await
                    };
                    tokio::select! {
                        biased;
                        // What is exchanged by halves ends as it is; the next start has all of the new configuration.
                        () = stop.cancelled() => break,
                        exchanged = exchange => exchanged?,
                    }
                }
                Err(error) => reloads.failed(&error, &own),
            }
        }
        // A reload may be under way.
        workshop.runtime.stop_compiling().await;
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
        let late = timeout_at(deadline, told).await.is_err();
        work.shutdown().await;
        let closing = async {
            if late {
                self::late(&store).await?;
            }
            states.save().await?;
            let undelivered = outbox.close(deadline.saturating_duration_since(Instant::now())).await;
            store.close().await?;
            Ok(undelivered)
        };
        let undelivered = in_time(&store, deadline, closing).await?;
        if let Some(error) = gone {
            // What is still to be delivered is in files that no start will find.
            if !undelivered.sinks.is_empty() {
                tracing::error!("{undelivered}; they are lost with the state directory");
            }
            return Err(error.into());
        }
        match failed {
            Some(error) => Err(error),
            None if undelivered.lost() > 0 || (late && store.is_in_memory()) => Ok(Ended::Lost),
            None => Ok(Ended::Well),
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

/// Says what routes have not told that did not end within the grace time.
async fn late(store: &Store) -> Result<(), StoreError> {
    if !store.is_in_memory() {
        tracing::error!("a route did not end within the grace time: the rest is told after the next start");
        return Ok(());
    }
    for (route, events) in store.unsettled().await? {
        let events = crate::text::count(events, "event is", "events are");
        tracing::error!(
            "the route `{route}` did not end within the grace time: up to {events} lost, since no state is kept; those that \
             its filters do not want are among them\nhint: give dockbell a state directory with `--state`, or a longer `grace`"
        );
    }
    Ok(())
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

/// Waits until the store is closed, not much longer than until `deadline`.
///
/// # Errors
/// Fails if `closing` fails or takes longer.
async fn in_time<T>(
    store: &Store,
    deadline: Instant,
    closing: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    match timeout_at(deadline + CLOSING, closing).await {
        Ok(closed) => closed,
        Err(_) => bail!(
            "the store could not be closed in time: another program holds it, or its disk does not answer: `{}`; what is stored \
             is whole, what is not is read again after the next start\nhint: `fuser` names the programs that have the file \
             open; `sqlite3 -readonly` disturbs nobody",
            store.path().display()
        ),
    }
}

/// Asks all engines at once who they are.
///
/// # Errors
/// Fails if one of them does not answer.
async fn reach(engines: &[Engine]) -> anyhow::Result<()> {
    let described = join_all(engines.iter().map(Engine::describe)).await;
    for (engine, description) in engines.iter().zip(described) {
        let description = description?;
        tracing::debug!(engine = &**engine.name(), "{description} at {}", engine.address());
    }
    Ok(())
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("span", &self.span).field("shared", &self.shared).finish_non_exhaustive()
    }
}
