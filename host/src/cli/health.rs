//! `dockbell health`: whether the program that uses a state directory answers.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::StateArgs;
use crate::serve::control::{self, Request};
use crate::store::Place;

/// What `health` takes.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    state: StateArgs,
}

/// Asks the running program for something that changes nothing. It answers when its tasks run and its store takes orders.
pub(super) async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let Place::Directory(state) = args.state.place()? else {
        bail!("with `--state none` a running dockbell cannot be asked\nhint: name the state directory that it uses");
    };
    control::ask(&state, &Request::Retry(Vec::new())).await?;
    println!("dockbell runs and answers");
    Ok(ExitCode::SUCCESS)
}
