//! `dockbell watch`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;

use super::signals::{self, Stop};
use super::{ConfigArgs, OutputArgs, StateArgs};
use crate::app::reload::Reload;
use crate::app::watch::{Ended, Settings, Watch};
use crate::config::{Config, SinkConfig};
use crate::engine::Span;
use crate::store::{Place, StoreError};

/// The folder in the state directory where reports keep messages that could not be delivered. The state itself may be in use.
const REPORTS: &str = "reports";

/// What `watch` takes.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    state: StateArgs,
    /// Tell one digest of what happened since then, and exit: 1h, 2026-11-22T08:00:00Z, a Unix time. An engine remembers its last 256 events
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Stop at this time, written as for --since, or `+10m` for a time from now. With --since, defaults to now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl WatchArgs {
    /// Returns the first option that is set and that no subcommand shares.
    pub(super) fn first_own(&self) -> Option<&'static str> {
        let set = [
            ("--since", self.since.is_some()),
            ("--until", self.until.is_some()),
            ("--output", self.output.output.is_some()),
        ];
        set.into_iter().find(|(_, is_set)| *is_set).map(|(option, _)| option)
    }

    /// The time to look at, if the run is to end by itself.
    fn span(&self) -> anyhow::Result<Option<Span>> {
        // A report about the past ends now, where `docker events --since` would go on for ever.
        let until = self.until.as_deref().or(self.since.as_ref().map(|_| "now"));
        let bounded = until.is_some();
        let span = Span::parse(self.since.as_deref(), until, Timestamp::now())?;
        Ok(bounded.then_some(span))
    }

    /// Where state is kept. A run that only prints to the terminal keeps none, unless a place is named or a plugin is to keep
    /// something: whoever looks on for a moment disturbs no other dockbell. A report that ends by itself keeps nothing but
    /// messages that could not be delivered, in a place of its own beside the state of the dockbell that watches.
    fn place(&self, config: &Config, bounded: bool) -> Result<Place, StoreError> {
        let told = config.routes.values().flat_map(|route| &route.to);
        let mut sinks = told.filter_map(|sink| config.sinks.get(sink));
        let only_prints = sinks.all(|sink| matches!(sink, SinkConfig::Stdout(_)));
        let keeps = config.plugins.values().any(|plugin| plugin.grants.state.is_some());
        if only_prints && (bounded || !(self.state.is_named() || keeps)) {
            return Ok(Place::Memory);
        }
        Ok(match self.state.place() {
            Ok(Place::Directory(path)) if bounded => Place::Directory(path.join(REPORTS)),
            // A report can do without.
            Err(_) if bounded => Place::Memory,
            place => place?,
        })
    }
}

/// Runs until a signal comes, or until the span has ended. A run that has a configuration file and no end reads it again
/// when it changes and upon SIGHUP; without one, that signal ends it as it ends any program.
pub(super) async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let stop = Stop::listen()?;
    let span = args.span()?;
    let file = args.config.file().filter(|_| span.is_none());
    let hangup = file.is_some().then(signals::hangup).transpose()?;
    let args = Arc::new(args);
    // A file that is read may be on a disk that does not answer.
    let loading = tokio::task::spawn_blocking({
        let args = Arc::clone(&args);
        move || args.config.load()
    });
    let config = tokio::select! {
        config = loading => config??,
        () = stop.token.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    stop.allow(config.grace);
    for (name, origin) in &config.host_origins {
        if let Some(engine) = config.engines.get(name) {
            tracing::info!("engine `{name}` is {}: {origin}", engine.host);
        }
    }
    let place = args.place(&config, span.is_some())?;
    if place != Place::Memory {
        stop.keep();
    }
    let output = args.output.output;
    let (stays, stopping) = (place.clone(), stop.clone());
    let load = Arc::new(move || {
        let config = args.config.load()?;
        stopping.allow(config.grace);
        let wanted = args.place(&config, false)?;
        if wanted != stays {
            tracing::warn!(
                "the state directory is not changed while dockbell runs: {stays} until a restart, then {wanted}"
            );
        }
        Ok(config)
    });
    let reload = file.zip(hangup).map(|(file, hangup)| Reload { file, load, hangup });
    let settings = Settings { output, span, place, reload };
    let Some(watch) = Watch::start(config, settings, &stop.token).await? else { return Ok(ExitCode::SUCCESS) };
    Ok(match watch.run(stop.token).await? {
        Ended::Well => ExitCode::SUCCESS,
        Ended::Lost => ExitCode::FAILURE,
    })
}
