//! The WebAssembly engine, and plugins that are compiled and checked but not yet started.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine};

use super::cache::{Cache, Key, cache_folder};
use super::compile::{CompileError, Compiler, Compiling};
use super::compiled::Compiled;
use super::component::{self, Source};
use super::declared::Declared;
use super::error::{Refused, humane, outside};
use super::files::{self, LeftOver, OpenFiles};
use super::granted::Granted;
use super::http::{self, SendRequest};
use super::native::Trusted;
use super::processors::Processors;
use super::sandbox::Sandbox;
use super::v0_1::{filter, formatter, logging, packed_filter, setup, state};
use crate::config::{Environment, PluginConfig, Sha256};

/// Requests of all plugins together that may be under way at once; others wait. Each takes a connection.
const REQUESTS: usize = 64;

/// The engine that compiles and runs all plugins.
pub struct Runtime {
    engine: Engine,
    linker: Linker<Sandbox>,
    compiler: Compiler,
    cache: Option<Cache>,
    sender: Option<Arc<dyn SendRequest>>,
    compiling: Compiling,
    shared: Arc<Shared>,
}

/// What all plugins share.
pub(super) struct Shared {
    pub(super) files: Arc<OpenFiles>,
    pub(super) processors: Arc<Processors>,
    pub(super) requests: Arc<Semaphore>,
}

/// What a plugin can be in a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
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
    pub(super) packed: Option<packed_filter::GuestIndices>,
    pub(super) formatter: Option<formatter::GuestIndices>,
    pub(super) config: String,
    pub(super) timeout: Duration,
    pub(super) memory: usize,
    pub(super) granted: Granted,
    pub(super) sender: Option<Arc<dyn SendRequest>>,
    pub(super) shared: Arc<Shared>,
    pub(super) left_over: Arc<LeftOver>,
    bytes: usize,
    /// What it was made of: the table of the configuration, and the SHA-256 of the component.
    pub(super) made_of: (PluginConfig, Sha256),
}

impl Runtime {
    /// [`with`](Self::with) a compiler in this process and no cache.
    ///
    /// # Errors
    /// When the machine cannot run compiled WebAssembly.
    pub fn new() -> wasmtime::Result<Self> {
        Self::with(Compiler::InProcess, None)
    }

    /// As the program `dockbell` needs it: each component is compiled by a process of its own, this program again, and kept
    /// in the folder that the environment names ([`cache_folder`]).
    ///
    /// # Errors
    /// When the machine cannot run compiled WebAssembly.
    pub fn of_program() -> wasmtime::Result<Self> {
        let cache = cache_folder(|name| Environment::of_process().owned(name));
        if cache.is_none() {
            tracing::info!(
                "compiled plugins are not kept: none of `DOCKBELL_CACHE`, `XDG_CACHE_HOME` and `HOME` is set"
            );
        }
        Self::with(Compiler::this_program(), cache.as_deref())
    }

    /// Starts the engine and the thread that interrupts guests. What `compiler` compiles is kept in the folder `cache`,
    /// which is made; where it cannot be used the log says why, and nothing is kept.
    ///
    /// # Errors
    /// When the machine cannot run compiled WebAssembly.
    pub fn with(compiler: Compiler, cache: Option<&Path>) -> wasmtime::Result<Self> {
        let engine =
            Engine::new(&settings()).map_err(|error| error.context("cannot set up WebAssembly on this machine"))?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        logging::add_to_linker::<_, HasSelf<_>>(&mut linker, |sandbox: &mut Sandbox| sandbox)?;
        state::add_to_linker::<_, HasSelf<_>>(&mut linker, |sandbox: &mut Sandbox| sandbox)?;
        files::add_to_linker(&mut linker)?;
        http::add_to_linker(&mut linker)?;
        let shared = Arc::new(Shared {
            files: Arc::new(OpenFiles::of_process()),
            processors: Processors::start(&engine)?,
            requests: Arc::new(Semaphore::new(REQUESTS)),
        });
        let cache = cache.and_then(|root| {
            let opened = Cache::open(root).inspect_err(|why| {
                tracing::warn!("each start compiles the plugins again, since there is no cache: {why}");
            });
            opened.ok()
        });
        Ok(Self { engine, linker, compiler, cache, sender: None, compiling: Compiling::default(), shared })
    }

    /// The same, and requests of plugins that are granted `http` are sent by this; without it all are refused.
    #[must_use]
    pub fn with_sender(self, sender: Arc<dyn SendRequest>) -> Self {
        Self { sender: Some(sender), ..self }
    }

    /// Ends the processes that compile, and refuses to start another: for a program that stops. Waits until they are gone, at
    /// most 2 s.
    pub async fn stop_compiling(&self) {
        self.compiling.stop().await;
    }

    /// Reads, compiles and checks a plugin. Takes from 20 ms (Rust) to seconds (Python), a fraction of that where the
    /// cache has it, so call it where that may block.
    ///
    /// # Errors
    /// When it cannot be read, is no component, costs too much to compile, was built for another interface, or imports
    /// what is not offered or not granted.
    pub fn load(&self, name: &str, config: &PluginConfig) -> Result<Arc<Plugin>, Refused> {
        self.load_unless_known(name, config, None)
    }

    /// The same, but the plugin `known` itself where nothing about it has changed.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_unless_known(
        &self,
        name: &str,
        config: &PluginConfig,
        known: Option<&Arc<Plugin>>,
    ) -> Result<Arc<Plugin>, Refused> {
        let source = component::read(name, &config.component)?;
        let found = source.digest;
        if let Some(expected) = config.sha256.filter(|expected| *expected != found) {
            let (plugin, component) = (name.to_owned(), outside(&config.component));
            return Err(Refused::OtherContent { plugin, component, expected, found });
        }
        if let Some(known) = known.filter(|known| known.made_of.0 == *config && known.made_of.1 == found) {
            return Ok(Arc::clone(known));
        }
        self.admit(name, &self.compile_source(name, &config.component, source)?, config)
    }

    /// The first half of [`load`](Self::load): reads and compiles a component, whatever it exports and imports.
    ///
    /// # Errors
    /// When it cannot be read, is no component, or costs too much to compile.
    pub fn compile(&self, name: &str, component: &str) -> Result<Compiled, Refused> {
        self.compile_source(name, component, component::read(name, component)?)
    }

    fn compile_source(&self, name: &str, component: &str, source: Source) -> Result<Compiled, Refused> {
        let component = self.component(name, component, &source)?;
        Ok(Compiled { declared: Declared::of(&self.engine, &component), component, source })
    }

    /// The second half of [`load`](Self::load): checks what a component exports and imports.
    ///
    /// # Errors
    /// When it was built for another interface, or imports what is not offered or not granted.
    pub fn admit(&self, name: &str, compiled: &Compiled, config: &PluginConfig) -> Result<Arc<Plugin>, Refused> {
        let Compiled { component, source, declared } = compiled;
        declared.check_exports(name)?;
        declared.check_imports(name)?;
        declared.check_asks(name, config)?;
        let roles = declared.roles();
        let is = |role| roles.contains(&role);
        let misfit = |error: wasmtime::Error| Refused::Misfit {
            plugin: name.to_owned(),
            reason: outside(format_args!("{error:#}")),
        };
        let pre = self.linker.instantiate_pre(component).map_err(misfit)?;
        Ok(Arc::new(Plugin {
            name: name.into(),
            engine: self.engine.clone(),
            setup: setup::GuestIndices::new(&pre).map_err(misfit)?,
            filter: is(Role::Filter).then(|| filter::GuestIndices::new(&pre)).transpose().map_err(misfit)?,
            packed: declared
                .is_packed_filter()
                .then(|| packed_filter::GuestIndices::new(&pre))
                .transpose()
                .map_err(misfit)?,
            formatter: is(Role::Formatter).then(|| formatter::GuestIndices::new(&pre)).transpose().map_err(misfit)?,
            pre,
            config: serde_json::Value::Object(config.config.clone()).to_string(),
            timeout: config.timeout,
            memory: config.memory,
            granted: Granted::of(name, &config.grants),
            sender: self.sender.clone(),
            shared: Arc::clone(&self.shared),
            left_over: Arc::default(),
            bytes: source.bytes.len(),
            made_of: (config.clone(), source.digest),
        }))
    }

    /// The component out of the cache, else out of the compiler.
    fn component(&self, plugin: &str, component: &str, source: &Source) -> Result<Component, Refused> {
        let kept = self.cache.as_ref().map(|cache| (cache, Key::of(&self.engine, source.digest)));
        let known = kept.as_ref().and_then(|(cache, key)| cache.get(key)?.load(&self.engine).ok());
        if let Some(known) = known {
            return Ok(known);
        }
        let (plugin, component) = (plugin.to_owned(), outside(component));
        let code = match self.compiler.compile(&self.engine, &plugin, &source.bytes, &self.compiling) {
            Ok(code) => code,
            Err(CompileError::Unfit(reason)) => {
                return Err(Refused::NotAComponent { plugin, component, reason: outside(reason) });
            }
            Err(CompileError::Memory(limit)) => {
                return Err(Refused::TooCostly { plugin, component, limit: format!("{} MiB of memory", limit >> 20) });
            }
            Err(CompileError::Time(limit)) => {
                return Err(Refused::TooCostly { plugin, component, limit: humane(&limit) });
            }
            Err(CompileError::Stopped) => {
                return Err(Refused::NotCompiled { plugin, component, reason: "dockbell is stopping".to_owned() });
            }
            Err(CompileError::Crashed(reason)) => {
                return Err(Refused::NotCompiled { plugin, component, reason: outside(reason) });
            }
        };
        if let Some((cache, key)) = kept {
            cache.put(&key, &code);
        }
        Trusted::Compiled(code).load(&self.engine).map_err(|error| Refused::NotCompiled {
            plugin,
            component,
            reason: outside(format_args!("{error:#}")),
        })
    }
}

/// What decides how guests are compiled; the same in the process that compiles and in the one that runs them.
pub(super) fn settings() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Nobody reads the addresses in a guest's backtrace; the table of them would only be memory.
    config.generate_address_map(false);
    config
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
