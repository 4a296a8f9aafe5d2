//! A run: engines are read, routes tell, until a signal comes or the time to look at has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::feed::{Feed, Inlet};
use super::routes::{self, Started, Telling};
use super::sinks;
use crate::config::{Config, Output};
use crate::deliver::Outbox;
use crate::engine::{self, Engine, Span};
use crate::plugin::Runtime;
use crate::queue::queue;

/// Memory that may wait between the reader and the routes, and before each route, in bytes: about 60,000 events.
const QUEUE: u32 = 64 << 20;

/// Everything started and ready to run.
#[derive(Debug)]
pub struct Watch {
    engines: Vec<Engine>,
    routes: Vec<Started>,
    outbox: Arc<Outbox>,
    span: Option<Span>,
    grace: Duration,
    /// Keeps the clock of the plugins going.
    _runtime: Runtime,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every message was delivered.
    AllTold,
    /// Some messages could not be delivered; the log says which.
    Lost,
}

impl Watch {
    /// Starts plugins, routes and sinks, and looks whether the engines answer. With a span the run ends by itself and tells
    /// one digest.
    ///
    /// # Errors
    /// A plugin that is refused, a sink that cannot be used, or not a single engine that answers.
    pub async fn start(config: Config, output: Option<Output>, span: Option<Span>) -> anyhow::Result<Self> {
        let runtime = Runtime::of_program().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let plugins = routes::load_plugins(&config, &runtime)?;
        let telling = if span.is_some() { Telling::AtEnd } else { Telling::InWindows };
        let routes = routes::start(&config, &plugins, telling).await?;
        let outbox = Arc::new(Outbox::start(sinks::open(&config, output)?));
        let engines = reach(&config, span.is_some()).await?;
        for Started { route, to } in &routes {
            tracing::info!(route = route.name(), to = to.join(","), "telling");
        }
        Ok(Self { engines, routes, outbox, span, grace: config.grace, _runtime: runtime })
    }

    /// What waits for each sink, and what became of it.
    #[must_use]
    pub fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }

    /// Runs until `stop` is cancelled, the span has ended, or nobody is left to tell (`dockbell | head`). Then what is open
    /// is told and delivered, within `grace`.
    pub async fn run(self, stop: CancellationToken) -> Ended {
        let mut tellers = JoinSet::new();
        let mut inlets = Vec::new();
        for Started { route, to } in self.routes {
            let (sender, receiver) = queue(QUEUE);
            inlets.push(Inlet::new(route.name().into(), sender));
            tellers.spawn(route.run(receiver, sinks::tell(&self.outbox, to)));
        }
        let mut readers = JoinSet::new();
        for engine in self.engines {
            let (sender, receiver) = queue(QUEUE);
            let feed = Feed::new(engine.clone(), inlets.clone());
            readers.spawn(engine::read(engine, self.span.unwrap_or_default(), sender, stop.clone()));
            tellers.spawn(feed.run(receiver));
        }
        drop(inlets);

        // Each ends the next: readers their feeds, feeds the routes.
        let read = async { while readers.join_next().await.is_some() {} };
        tokio::select! {
            () = read => {}
            () = stop.cancelled() => {}
            () = self.outbox.all_gone() => return Ended::AllTold,
        }
        let deadline = Instant::now() + self.grace;
        let told = async { while tellers.join_next().await.is_some() {} };
        if timeout_at(deadline, told).await.is_err() {
            tracing::error!("a route did not end within the grace time: what it had not told is lost");
        }
        let undelivered = self.outbox.close(deadline.saturating_duration_since(Instant::now())).await;
        if undelivered.total() == 0 { Ended::AllTold } else { Ended::Lost }
    }
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
