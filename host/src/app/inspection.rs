//! What a plugin is, what it may do, and what it costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::recording::Recording;
use crate::config::PluginConfig;
use crate::event::Event;
use crate::message::{Batch, Phase};
use crate::plugin::{Ask, CallError, Compiler, Declared, Filter, Formatter, Plugin, Role, Runtime};
use crate::route::collected::Collected;

/// Events of a small shop, recorded from a real engine; `examples/recordings/README.md` says how.
pub const SHOP: &str = include_str!("../../../examples/recordings/shop.jsonl");

/// Calls that are measured at most.
const CALLS: usize = 5_000;
/// Calls before, which are not measured: the first ones make the guest's memory grow and the processor's caches warm.
const UNMEASURED: usize = 100;
/// How long the calls may take together; a slow plugin is measured by fewer of them.
const LONGEST: Duration = Duration::from_secs(2);

/// What was found out about a plugin. Durations are in microseconds.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The plugin's name.
    pub plugin: String,
    /// A bundled plugin's name, or the path of the component.
    pub component: String,
    /// Whether it came as a core module that carries its interface, which dockbell makes a component of.
    pub was_module: bool,
    /// Size in bytes.
    pub bytes: usize,
    /// SHA-256 digest of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// What it can be in a route.
    pub roles: Vec<Role>,
    /// The version of the plugin interface that it was built for.
    pub version: Option<String>,
    /// What it exports and imports.
    #[serde(flatten)]
    pub declared: Declared,
    /// What it asks for.
    pub asks: Vec<Asked>,
    /// What its table grants, as lines of the configuration.
    pub grants: Vec<String>,
    /// Bytes of memory that an instance may have.
    pub memory_limit: usize,
    /// How long a call may take.
    pub timeout_micros: u64,
    /// How long compiling took, in a process of its own and without the cache.
    pub compile_micros: u64,
    /// Why it cannot be used, if so.
    pub refused: Option<String>,
    /// How it runs, in each of its roles; empty where it is refused.
    pub runs: Vec<Run>,
}

/// Something that a plugin asks for.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// What it is.
    pub ask: Ask,
    /// The line of the plugin's table that grants it.
    pub line: &'static str,
    /// Whether it is granted.
    pub granted: bool,
}

/// How a plugin runs in one of its roles.
#[derive(Debug, Serialize)]
pub struct Run {
    /// The role.
    pub role: Role,
    /// How long the start of an instance took, `configure` included.
    pub start_micros: u64,
    /// Bytes of memory of the instance after that.
    pub memory: usize,
    /// What it was called with.
    pub with: String,
    /// How many calls were measured.
    pub calls: usize,
    /// Time of one call: half of them took less.
    pub median_micros: f64,
    /// Time of the slowest call.
    pub most_micros: f64,
    /// Why calls failed, if they did; then nothing was measured.
    pub failed: Option<String>,
}

/// Compiles a plugin, looks what it says of itself, starts it and calls it.
///
/// # Errors
/// It cannot be read or compiled. What is refused after that is an answer, too.
pub async fn inspect(name: &str, config: &PluginConfig) -> anyhow::Result<Inspection> {
    // Without a cache, so that what is measured is the compiler; and without a sender, since thousands of calls are made.
    let runtime = Runtime::with(Compiler::this_program(), None).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let began = Instant::now();
    let compiled = runtime.compile(name, &config.component)?;
    let compile_micros = micros(began.elapsed());
    let declared = compiled.declared().clone();
    let asked = |ask: Ask| Asked { ask, line: ask.line(), granted: ask.is_granted(&config.grants) };
    let mut inspection = Inspection {
        plugin: name.to_owned(),
        component: config.component.clone(),
        was_module: compiled.was_module(),
        bytes: compiled.size(),
        sha256: compiled.sha256().to_string(),
        roles: declared.roles(),
        version: declared.version().map(str::to_owned),
        asks: declared.asks().into_iter().map(asked).collect(),
        grants: config.grants.lines(),
        declared,
        memory_limit: config.memory,
        timeout_micros: micros(config.timeout),
        compile_micros,
        refused: None,
        runs: Vec::new(),
    };
    let ran = match runtime.admit(name, &compiled, config) {
        Ok(plugin) => runs(&plugin).await,
        Err(refused) => Err(refused.into()),
    };
    match ran {
        Ok(runs) => inspection.runs = runs,
        Err(refused) => inspection.refused = Some(refused.to_string()),
    }
    Ok(inspection)
}

async fn runs(plugin: &Arc<Plugin>) -> anyhow::Result<Vec<Run>> {
    let event = recorded().await?;
    let mut runs = Vec::new();
    for role in plugin.roles() {
        let began = Instant::now();
        runs.push(match role {
            Role::Filter => {
                let mut filter = Filter::start(Arc::clone(plugin)).await?;
                let (started, memory) = (began.elapsed(), filter.memory());
                let with = format!("a recorded event, `{} {}`", event.kind, event.action);
                let measured = measure(async || filter.accept(&event).await.map(drop)).await;
                Run::new(role, started, memory, with, measured)
            }
            Role::Formatter => {
                let mut formatter = Formatter::start(Arc::clone(plugin)).await?;
                let (started, memory) = (began.elapsed(), formatter.memory());
                let with = format!("a batch of one recorded event, `{} {}`", event.kind, event.action);
                let batch = batch(&event);
                let measured = measure(async || formatter.format(&batch).await.map(drop)).await;
                Run::new(role, started, memory, with, measured)
            }
        });
    }
    Ok(runs)
}

/// The first end of a container in the recording of the shop.
async fn recorded() -> anyhow::Result<Arc<Event>> {
    let mut recording = Recording::of_text(SHOP, "local");
    while let Some(next) = recording.next().await? {
        if let Ok(event) = next
            && event.action == "die"
        {
            return Ok(Arc::new(event));
        }
    }
    anyhow::bail!("the recording has no event to call the plugin with")
}

fn batch(event: &Arc<Event>) -> Batch {
    let mut collected = Collected::default();
    collected.add(event);
    collected.seal(&"default".into(), "", Phase::First, Vec::new())
}

/// Times of calls, sorted.
async fn measure(mut call: impl AsyncFnMut() -> Result<(), CallError>) -> Result<Vec<Duration>, CallError> {
    let began = Instant::now();
    let mut times = Vec::with_capacity(CALLS);
    for number in 0..UNMEASURED + CALLS {
        let call_began = Instant::now();
        call().await?;
        let took = call_began.elapsed();
        if number >= UNMEASURED || began.elapsed() > LONGEST {
            times.push(took);
        }
        if began.elapsed() > LONGEST {
            break;
        }
    }
    times.sort_unstable();
    Ok(times)
}

impl Run {
    fn new(
        role: Role,
        started: Duration,
        memory: usize,
        with: String,
        measured: Result<Vec<Duration>, CallError>,
    ) -> Self {
        let (times, failed) = match measured {
            Ok(times) => (times, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let micros_of = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e6);
        Self {
            role,
            start_micros: micros(started),
            memory,
            with,
            calls: times.len(),
            median_micros: micros_of(times.get(times.len() / 2)),
            most_micros: micros_of(times.last()),
            failed,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
