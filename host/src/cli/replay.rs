//! `dockbell replay`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{ConfigArgs, OutputArgs, StateArgs};
use crate::app::components::Shelf;
use crate::app::replay;
use crate::config::Output;

/// What `replay` takes.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Recorded events; `-` is standard input. JSON as `docker events --format '{{json .}}'` prints it, also from Podman, Compose or jq, in UTF-8 or UTF-16; or the lines that `docker events` prints without a format
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    state: StateArgs,
}

/// Prints every message that would have been told.
pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let shelf = Shelf::of(&args.state.place()?);
    let summary = replay::run(&config, &shelf, &args.file, args.output.output.unwrap_or(Output::Text)).await?;
    if args.output.output.unwrap_or_default() == Output::Text {
        // Whoever closed our output does not want to know.
        let _ = writeln!(std::io::stderr(), "{summary}");
    }
    Ok(ExitCode::SUCCESS)
}
