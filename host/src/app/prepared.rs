//! A configuration that is ready to run: everything of it is compiled, checked and opened, and nothing that runs was touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::components::{self, Shelf};
use super::routes::{self, Plugins, Started, Telling};
use super::sinks;
use super::states::States;
use crate::config::{Config, Output, RouteConfig};
use crate::deliver::{Courier, Sink};
use crate::engine::Engine;
use crate::plugin::Runtime;
use crate::route::room::Room;

/// A configuration, and the plugins that it was made with.
#[derive(Debug)]
pub(super) struct Current {
    pub config: Config,
    pub plugins: Plugins,
}

/// What decides how a configuration is made ready.
pub(super) struct Workshop {
    pub runtime: Arc<Runtime>,
    pub shelf: Shelf,
    pub states: States,
    pub telling: Telling,
    pub room: Room,
    pub output: Option<Output>,
}

/// What is to run.
pub(super) struct Prepared {
    pub current: Current,
    /// The routes that are new or have changed.
    pub routes: Vec<Started>,
    /// The routes of the running configuration that go on as they are.
    pub kept: BTreeSet<String>,
    /// The engines that are new, have changed or have certificates, which may be new.
    pub engines: Vec<Engine>,
    /// The sinks as they write messages.
    pub writers: Vec<(String, Sink)>,
    /// The sinks as they deliver them.
    pub couriers: Vec<(String, Courier)>,
}

impl Prepared {
    /// Prepares a configuration. What is the same in the one that runs goes on: a filter keeps what it knows.
    ///
    /// # Errors
    /// The first plugin, sink or engine that cannot be used.
    pub(super) async fn of(config: Config, running: Option<Arc<Current>>, workshop: &Workshop) -> anyhow::Result<Self> {
        let Workshop { runtime, shelf, states, telling, room, output } = workshop;
        let loading = {
            let config = components::fetch(&config, shelf).await?;
            let (runtime, running) = (Arc::clone(runtime), running.clone());
            move || {
                let none = Plugins::new();
                routes::load_plugins(&config, &runtime, running.as_ref().map_or(&none, |running| &running.plugins))
            }
        };
        let plugins = tokio::task::spawn_blocking(loading).await??;
        let current = Current { config, plugins };
        let running = running.as_deref();
        let is_kept = |name: &&String| running.is_some_and(|running| running.runs_as(&current, name));
        let kept: BTreeSet<String> = current.config.routes.keys().filter(is_kept).cloned().collect();
        let mut changed = current.config.clone();
        changed.routes.retain(|name, _| !kept.contains(name));
        states.open(&changed).await?;
        let routes = routes::start(&changed, &current.plugins, states, *telling, room).await?;
        let mut engines = Vec::new();
        for (name, table) in &current.config.engines {
            let same = running.is_some_and(|running| running.config.engines.get(name) == Some(table));
            if !same || table.tls.is_some() {
                engines.push(Engine::new(name.as_str().into(), table)?);
            }
        }
        let writers = sinks::open(&current.config, *output)?;
        let couriers = sinks::couriers(&current.config, *output)?;
        Ok(Self { routes, kept, engines, writers, couriers, current })
    }
}

impl Current {
    /// Whether a route is the same in another configuration, down to the bytes of its plugins.
    fn runs_as(&self, other: &Self, name: &str) -> bool {
        let of = |current: &Self| {
            let route = current.config.routes.get(name)?;
            Some(RouteConfig { engines: routes::engines(route, &current.config).to_vec(), ..route.clone() })
        };
        let Some(route) = of(self) else { return false };
        self.config.hostname == other.config.hostname
            && of(other).as_ref() == Some(&route)
            && route.plugins().all(|plugin| {
                // `on-error` is the route's business, and so not known to the loaded plugin.
                let table = |current: &Self| current.config.plugins.get(plugin).map(|table| table.on_error);
                let same = match (self.plugins.get(plugin), other.plugins.get(plugin)) {
                    (Some(one), Some(two)) => Arc::ptr_eq(one, two),
                    (None, None) => true,
                    _ => false,
                };
                same && table(self) == table(other)
            })
    }
}
