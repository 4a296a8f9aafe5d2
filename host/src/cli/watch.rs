//! `dockbell watch`.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::{ConfigArgs, OutputArgs, signals};
use crate::app::watch::{Ended, Watch};
use crate::engine::Span;

/// What `watch` takes.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Tell one digest of what happened since then, and exit: 1h, 2026-11-22T08:00:00Z, a Unix time. An engine remembers its last 256 events
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Up to then; with --since alone up to now, on its own from now until then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl WatchArgs {
    /// The time to look at, if the run is to end by itself.
    fn span(&self) -> anyhow::Result<Option<Span>> {
        // A report about the past ends now, where `docker events --since` would go on for ever.
        let until = self.until.as_deref().or(self.since.as_ref().map(|_| "now"));
        let bounded = until.is_some();
        let span = Span::parse(self.since.as_deref(), until, Timestamp::now())?;
        Ok(bounded.then_some(span))
    }
}

/// Runs until a signal comes, or until the span has ended.
pub(super) async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let span = args.span()?;
    let config = args.config.load()?;
    let stop = signals::stop_token()?;
    let watch = Watch::start(config, args.output.output, span).await?;
    Ok(match watch.run(stop).await {
        Ended::AllTold => ExitCode::SUCCESS,
        Ended::Lost => ExitCode::FAILURE,
    })
}
