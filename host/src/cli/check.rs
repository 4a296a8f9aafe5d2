//! `dockbell check`.

use std::io::Write as _;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::report::Report;
use super::{ConfigArgs, OutputArgs, StateArgs};
use crate::app::components::{self, Shelf};
use crate::app::states::States;
use crate::app::twins::twins;
use crate::app::{routes, sinks};
use crate::config::environment::in_variables;
use crate::config::{Config, DEFAULT_FILE, EngineConfig, Environment};
use crate::engine::{Engine, EngineError};
use crate::route::room::Room;
use crate::store::{MessageState, Place, Reader, probe};
use crate::text::count;

/// Time after which a check of an engine or a sink that still runs is mentioned.
const PROGRESS: Duration = Duration::from_secs(2);

/// What `check` takes.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Tries everything and says what works, one line each. Nothing is told to anybody.
pub(super) async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::new(args.output.output.unwrap_or_default());
    let config = match Config::load(args.config.config.as_deref(), &Environment::of_process()) {
        Ok(config) => config,
        Err(error) => {
            report.fails("configuration", &error);
            return Ok(ExitCode::FAILURE);
        }
    };
    report.works("configuration", overview(&args.config, &config));
    for warning in &config.warnings {
        report.warns("configuration", warning);
    }
    let shelf = Shelf::of(&args.state.place().unwrap_or(Place::Memory));
    plugins(&config, &shelf, &mut report).await;
    state(&args.state, &mut report);
    engines(&config, &mut report).await;
    match sinks::open(&config, None) {
        Err(error) => report.fails("sinks", &error),
        Ok(sinks) => {
            for (name, mut sink) in sinks {
                let what = format!("sink {name}");
                let checked = with_progress(&what, sink.check()).await;
                report.says(&what, checked.map_err(|error| in_words_of(&name, &error.to_string())));
            }
        }
    }
    Ok(if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Waits for a check, and says on standard error that it does when that takes long.
async fn with_progress<T>(what: &str, check: impl Future<Output = T>) -> T {
    let mut check = pin!(check);
    match timeout(PROGRESS, &mut check).await {
        Ok(done) => done,
        Err(_) => {
            // Whoever closed our output does not want to know.
            let _ = writeln!(anstream::stderr(), "wait  {what}: no answer yet");
            check.await
        }
    }
}

/// Returns which file was read, and what there is in the configuration.
fn overview(args: &ConfigArgs, config: &Config) -> String {
    let file = match args.file() {
        Some(file) => format!("`{}`", file.display()),
        None => format!("no file (there is no `{DEFAULT_FILE}`)"),
    };
    let engines = count(config.engines.len(), "engine", "engines");
    let routes = count(config.routes.len(), "route", "routes");
    let sinks = count(config.sinks.len(), "sink", "sinks");
    format!("{file}: {engines}, {routes}, {sinks}")
}

/// Reports where events and messages are kept, and what is there. Nothing is made or changed.
fn state(args: &StateArgs, report: &mut Report) {
    match args.place() {
        Err(error) => report.fails("state", &error),
        Ok(Place::Memory) => report.works("state", "nothing is kept"),
        Ok(Place::Directory(directory)) => {
            let looked = probe(&directory);
            if let Ok(Some(notice)) = &looked {
                report.warns("state", notice);
            }
            report.says("state", looked.map_err(Into::into).and_then(|_| kept(&directory)));
        }
    }
}

/// Returns what a state directory holds.
fn kept(directory: &std::path::Path) -> anyhow::Result<String> {
    let shown = format!("`{}`", directory.display());
    if !Reader::may_be_in(directory) {
        return Ok(format!("{shown}, begun with the first start"));
    }
    let stats = Reader::open(directory)?.stats()?;
    let [pending, dead] = [MessageState::Pending, MessageState::Dead].map(|state| stats.count(state));
    let (pending, dead) =
        (count(pending, "message waits", "messages wait"), count(dead, "dead letter", "dead letters"));
    Ok(format!("{shown}, {} KiB, {pending}, {dead}", stats.store_bytes >> 10))
}

/// Reports which engines answer, how their addresses were chosen, and whether two of them are the same.
async fn engines(config: &Config, report: &mut Report) {
    let described =
        join_all(config.engines.iter().map(|(name, table)| async move {
            with_progress(&format!("engine {name}"), described(name, table)).await
        }));
    let mut ids = Vec::new();
    for (name, described) in config.engines.keys().zip(described.await) {
        let origin = config.host_origins.get(name).map_or_else(String::new, |origin| format!(" ({origin})"));
        let shown = match described {
            Ok((description, id)) => {
                ids.push((name, id));
                Ok(format!("{description}{origin}"))
            }
            Err(error) => Err(with_origin(&error, &origin)),
        };
        report.says(&format!("engine {name}"), shown);
    }
    for (one, other) in twins(ids) {
        let what = format!("engine {other}");
        report.warns(&what, format!("is the same engine as `{one}`: its events are sent twice"));
    }
}

/// Returns what an engine says of itself and where it is, and its id.
async fn described(name: &str, table: &EngineConfig) -> Result<(String, Option<Arc<str>>), EngineError> {
    let engine = Engine::new(name.into(), table)?;
    let description = engine.describe().await?;
    Ok((format!("{description} at {}", engine.address()), engine.id().await))
}

/// Returns an error of a sink in the words in which the sink was configured.
pub(super) fn in_words_of(sink: &str, error: &str) -> String {
    match Environment::of_process().makes_sink(sink) {
        true => in_variables(error),
        false => error.to_owned(),
    }
}

/// Returns the error with how the address was chosen, before its hint.
fn with_origin(error: &EngineError, origin: &str) -> String {
    let error = error.to_string();
    match error.split_once('\n') {
        Some((error, hint)) => format!("{error}{origin}\n{hint}"),
        None => format!("{error}{origin}"),
    }
}

/// Each plugin is compiled, started and configured, where a route names it.
async fn plugins(config: &Config, shelf: &Shelf, report: &mut Report) {
    let fetched = match components::fetch(config, shelf).await {
        Ok(fetched) => fetched,
        Err(error) => return report.fails("plugins", &error),
    };
    let runtime = match routes::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return report.fails("plugins", &format!("{error:#}")),
    };
    let plugins = match routes::load_plugins(&fetched, &runtime, &routes::Plugins::new()) {
        Ok(plugins) => plugins,
        Err(error) => return report.fails("plugins", &error),
    };
    for (name, plugin) in &plugins {
        let roles: Vec<String> = plugin.roles().iter().map(ToString::to_string).collect();
        let granted = config.plugins.get(name).map(|table| table.grants.lines()).unwrap_or_default();
        let granted: String = granted.iter().map(|line| format!(", granted {line}")).collect();
        let (roles, size) = (roles.join(" and "), plugin.bytes() >> 10);
        report.works(&format!("plugin {name}"), format!("{roles}, {size} KiB{granted}"));
    }
    for name in config.routes.keys() {
        let mut one = config.clone();
        one.routes.retain(|other, _| other == name);
        let started =
            routes::start(&one, &plugins, &States::fleeting(&one), routes::Telling::InWindows, &Room::default()).await;
        let to = |started: Vec<routes::Started>| started.iter().map(|one| one.to.join(", ")).collect::<String>();
        report.says(&format!("route {name}"), started.map(|started| format!("tells {}", to(started))));
    }
}
