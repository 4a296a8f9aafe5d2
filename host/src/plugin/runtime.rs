//! The WebAssembly engine, and plugins that are compiled and checked but not yet started.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wasmtime::component::{InstancePre, Linker};
use wasmtime::{Config, Engine};

use super::component::{self, Exports};
use super::error::Refused;
use super::sandbox::Sandbox;
use super::v0_1::{filter, formatter, logging, setup};
use crate::config::PluginConfig;

/// How often running guests are interrupted: the grain of `timeout`, and how long one guest may keep a thread.
const TICK: Duration = Duration::from_millis(20);

/// The engine that compiles and runs all plugins.
pub struct Runtime {
    engine: Engine,
    linker: Linker<Sandbox>,
}

/// What a plugin can be in a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Decides which events are told.
    Filter,
    /// Makes messages of events.
    Formatter,
}

/// A component that is compiled and checked, with its configuration and limits.
pub struct Plugin {
    pub(super) name: Arc<str>,
    pub(super) engine: Engine,
    pub(super) pre: InstancePre<Sandbox>,
    pub(super) setup: setup::GuestIndices,
    pub(super) filter: Option<filter::GuestIndices>,
    pub(super) formatter: Option<formatter::GuestIndices>,
    pub(super) config: String,
    pub(super) timeout: Duration,
    pub(super) memory: usize,
    bytes: usize,
}

impl Runtime {
    /// Starts the engine and the thread that interrupts guests.
    ///
    /// # Errors
    /// When the machine cannot run compiled WebAssembly.
    pub fn new() -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine =
            Engine::new(&config).map_err(|error| error.context("cannot set up WebAssembly on this machine"))?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        logging::add_to_linker::<_, wasmtime::component::HasSelf<_>>(&mut linker, |sandbox: &mut Sandbox| sandbox)?;
        let weak = engine.weak();
        thread::Builder::new().name("plugin-ticks".to_owned()).spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        })?;
        Ok(Self { engine, linker })
    }

    /// Reads, compiles and checks a plugin. Takes from 20 ms (Rust) to seconds (Python), so call it where that may block.
    ///
    /// # Errors
    /// When it cannot be read, is no component, was built for another interface, or imports what is not offered.
    pub fn load(&self, name: &str, config: &PluginConfig) -> Result<Arc<Plugin>, Refused> {
        let (component, bytes) = component::read(&self.engine, name, &config.component)?;
        let exports = Exports::of(&self.engine, &component, name)?;
        component::check_imports(&self.engine, &component, name)?;
        let misfit = |error: wasmtime::Error| Refused::Misfit { plugin: name.to_owned(), reason: format!("{error:#}") };
        let pre = self.linker.instantiate_pre(&component).map_err(misfit)?;
        Ok(Arc::new(Plugin {
            name: name.into(),
            engine: self.engine.clone(),
            setup: setup::GuestIndices::new(&pre).map_err(misfit)?,
            filter: exports.filter.then(|| filter::GuestIndices::new(&pre)).transpose().map_err(misfit)?,
            formatter: exports.formatter.then(|| formatter::GuestIndices::new(&pre)).transpose().map_err(misfit)?,
            pre,
            config: serde_json::Value::Object(config.config.clone()).to_string(),
            timeout: config.timeout,
            memory: config.memory,
            bytes,
        }))
    }
}

impl Plugin {
    /// The name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Size of the component in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it can be in a route.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        let filter = self.filter.as_ref().map(|_| Role::Filter);
        let formatter = self.formatter.as_ref().map(|_| Role::Formatter);
        filter.into_iter().chain(formatter).collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Formatter => "formatter",
        })
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
