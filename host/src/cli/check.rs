//! `dockbell check`.

use std::fmt::Display;
use std::io::Write as _;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{ConfigArgs, StateArgs};
use crate::app::components::{self, Shelf};
use crate::app::states::States;
use crate::app::{routes, sinks};
use crate::config::{Config, Environment};
use crate::engine::{Engine, EngineError};
use crate::route::room::Room;
use crate::store::{MessageState, Place, Reader};
use crate::text;

/// Time after which a check of an engine or a sink that still runs is mentioned.
const PROGRESS: Duration = Duration::from_secs(2);

/// What `check` takes.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    state: StateArgs,
}

/// Tries everything and says what works, one line each. Nothing is told to anybody.
pub(super) async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let config = match Config::load(args.config.config.as_deref(), &Environment::of_process()) {
        Ok(config) => config,
        Err(error) => {
            report.fails("configuration", &error);
            return Ok(ExitCode::FAILURE);
        }
    };
    let (engines, routes, sinks) = (config.engines.len(), config.routes.len(), config.sinks.len());
    report.works("configuration", format!("{engines} engines, {routes} routes, {sinks} sinks"));
    for warning in &config.warnings {
        report.line(AnsiColor::Yellow, "warn", "configuration", warning);
    }
    let shelf = Shelf::of(&args.state.place().unwrap_or(Place::Memory));
    plugins(&config, &shelf, &mut report).await;
    report.says("state", state(&args.state));
    let described = join_all(config.engines.iter().map(|(name, table)| async move {
        let engine = Engine::new(name.as_str().into(), table)?;
        let description = with_progress(&format!("engine {name}"), engine.describe()).await?;
        Ok::<_, EngineError>(format!("{description} at {}", engine.address()))
    }));
    for (name, described) in config.engines.keys().zip(described.await) {
        report.says(&format!("engine {name}"), described);
    }
    match sinks::open(&config, None) {
        Err(error) => report.fails("sinks", &error),
        Ok(sinks) => {
            for (name, mut sink) in sinks {
                let what = format!("sink {name}");
                report.says(&what, with_progress(&what, sink.check()).await);
            }
        }
    }
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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

/// Where events and messages are kept, and what is there. Nothing is made or changed.
fn state(args: &StateArgs) -> anyhow::Result<String> {
    let Place::Directory(directory) = args.place()? else { return Ok("nothing is kept".to_owned()) };
    let shown = format!("`{}`", directory.display());
    if !directory.join("state.db").exists() {
        return Ok(format!("{shown}, begun with the first start"));
    }
    let stats = Reader::open(&directory)?.stats()?;
    let [pending, dead] = [MessageState::Pending, MessageState::Dead].map(|state| stats.count(state));
    Ok(format!("{shown}, {} KiB, {pending} messages wait, {dead} dead letters", stats.store_bytes >> 10))
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

#[derive(Default)]
struct Report {
    failed: bool,
}

impl Report {
    fn says<T: Display, E: Display>(&mut self, what: &str, result: Result<T, E>) {
        match result {
            Ok(text) => self.works(what, text),
            Err(error) => self.fails(what, &error),
        }
    }

    fn works(&self, what: &str, text: impl Display) {
        self.line(AnsiColor::Green, "ok", what, &text);
    }

    fn fails(&mut self, what: &str, error: &dyn Display) {
        self.failed = true;
        self.line(AnsiColor::Red, "FAIL", what, error);
    }

    fn line(&self, colour: AnsiColor, verdict: &str, what: &str, text: &dyn Display) {
        let style = Style::new().fg_color(Some(colour.into())).bold();
        let text = text::multi_line(&text.to_string()).replace('\n', "\n        ");
        // Whoever closed our output does not want to know.
        let _ = writeln!(anstream::stdout(), "{style}{verdict:<4}{style:#}  {what}: {text}");
    }
}
