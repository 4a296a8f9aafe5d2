//! From `[routes]` and `[plugins]` to running routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::outgoing::Sender;
use super::states::States;
use crate::config::{Config, PluginConfig, RouteConfig};
use crate::plugin::{Plugin, Refused, Runtime};
use crate::route::Route;
use crate::route::filters::Guarded;
use crate::route::formatter::RouteFormatter;
use crate::route::group::Digest;
use crate::route::plain::Plain;
use crate::route::room::Room;

/// Whether a run follows the clock or ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// The first at once, the rest in digests.
    InWindows,
    /// One digest at the end.
    AtEnd,
}

/// A started route and the sinks it tells.
#[derive(Debug)]
pub struct Started {
    /// The route.
    pub route: Route,
    /// Names of sinks.
    pub to: Vec<String>,
}

/// What compiles and runs the plugins of the program, and sends the requests of those that are granted `http`.
///
/// # Errors
/// When the machine cannot run compiled WebAssembly.
pub fn runtime() -> anyhow::Result<Runtime> {
    let runtime = Runtime::of_program().map_err(|error| anyhow::anyhow!("{error:#}"))?;
    Ok(runtime.with_sender(Arc::new(Sender::default())))
}

/// Plugins by name, compiled and checked.
pub type Plugins = BTreeMap<String, Arc<Plugin>>;

/// Loads every plugin that a route names, side by side: compiling is the slowest part of a start. Those of `known` that have
/// not changed are taken as they are.
///
/// # Errors
/// The first plugin that is refused.
pub fn load_plugins(config: &Config, runtime: &Runtime, known: &Plugins) -> Result<Plugins, Refused> {
    let named = config.routes.values().flat_map(RouteConfig::plugins);
    let wanted: BTreeMap<&String, PluginConfig> =
        named.filter_map(|name| Some((name, with_defaults(config.plugins.get(name)?, config)))).collect();
    std::thread::scope(|scope| {
        let load = |(name, plugin): (&String, PluginConfig)| {
            let (name, known) = (name.clone(), known.get(name));
            scope.spawn(move || runtime.load_unless_known(&name, &plugin, known).map(|plugin| (name, plugin)))
        };
        let loading: Vec<_> = wanted.into_iter().map(load).collect();
        loading
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// What the host tells its own formatters, unless the configuration says it.
fn with_defaults(plugin: &PluginConfig, config: &Config) -> PluginConfig {
    let mut plugin = plugin.clone();
    if plugin.component == "email" || plugin.component == "json" {
        let _ = plugin.config.entry("hostname").or_insert_with(|| config.hostname.clone().into());
    }
    if plugin.component == "email" {
        if config.engines.len() > 1 {
            let _ = plugin.config.entry("engine-in-subject").or_insert(true.into());
        }
        let offset = TimeZone::system().to_offset(Timestamp::now());
        let _ = plugin.config.entry("utc-offset-seconds").or_insert_with(|| offset.seconds().into());
    }
    plugin
}

/// Starts all routes, each with its own instances of its plugins, which go on with their states. Their open digests share
/// the memory of `room`.
///
/// # Errors
/// The first plugin that cannot be used where a route names it.
pub async fn start(
    config: &Config,
    plugins: &Plugins,
    states: &States,
    telling: Telling,
    room: &Room,
) -> Result<Vec<Started>, Refused> {
    let plain = Plain { hostname: config.hostname.clone(), zone: TimeZone::system() };
    let mut started = Vec::new();
    for (name, route) in &config.routes {
        let digest = Digest::new(name, route).sharing(room);
        let digest = match telling {
            Telling::InWindows => digest,
            Telling::AtEnd => digest.at_end(),
        };
        let filters = start_filters(name, route, config, plugins, states).await?;
        let formatter = match plugins.get(&route.formatter) {
            Some(plugin) => {
                let state = states.of(name, &route.formatter);
                RouteFormatter::start_with(Arc::clone(plugin), plain.clone(), state).await?
            }
            // The only formatter that is no plugin, and whose name no plugin may take, is `plain`.
            None => RouteFormatter::plain(plain.clone()),
        };
        let to = route.to.clone();
        let route = Route::new(name, engines(route, config), filters, digest, formatter);
        started.push(Started { route, to });
    }
    Ok(started)
}

/// The engines that a route tells of; none means all, also those to come.
pub(super) fn engines<'a>(route: &'a RouteConfig, config: &Config) -> &'a [String] {
    let all = config.engines.keys().all(|engine| route.engines.contains(engine));
    if all { &[] } else { &route.engines }
}

async fn start_filters(
    of: &str,
    route: &RouteConfig,
    config: &Config,
    plugins: &Plugins,
    states: &States,
) -> Result<Vec<Guarded>, Refused> {
    let mut filters = Vec::new();
    for name in &route.filters {
        // The configuration is checked: whatever a route names exists.
        if let (Some(plugin), Some(table)) = (plugins.get(name), config.plugins.get(name)) {
            filters.push(Guarded::start_with(Arc::clone(plugin), table.on_error, states.of(of, name)).await?);
        }
    }
    Ok(filters)
}
