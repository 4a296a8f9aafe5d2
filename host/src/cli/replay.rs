//! `dockbell replay`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{ConfigArgs, OutputArgs};
use crate::app::replay;
use crate::config::Output;

/// What `replay` takes.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// JSON lines as `docker events --format '{{json .}}'` prints them; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints every message that would have been told.
pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let summary = replay::run(&config, &args.file, args.output.output.unwrap_or(Output::Text)).await?;
    if args.output.output.unwrap_or_default() == Output::Text {
        // Whoever closed our output does not want to know.
        let _ = writeln!(std::io::stderr(), "{summary}");
    }
    Ok(ExitCode::SUCCESS)
}
