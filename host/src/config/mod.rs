//! The configuration: one TOML file, a few environment variables, and a default for everything.

pub mod engine;
pub mod plugin;
pub mod route;
pub mod sink;

use std::collections::BTreeMap;
use std::time::Duration;

pub use engine::{EngineConfig, EngineTls, Host};
pub use plugin::{OnError, PluginConfig};
pub use route::{GroupBy, RouteConfig};
pub use sink::{EmailConfig, FileConfig, Login, Output, SinkConfig, SmtpServer, SmtpTls, StdoutConfig};

/// A whole configuration, checked: every name that a route mentions exists.
#[derive(Debug, Clone)]
pub struct Config {
    /// `hostname`: the name that messages give this machine. Default: `DOCKBELL_HOSTNAME`, else the system's host name.
    pub hostname: String,
    /// `grace`: how long a stop may take to deliver what is open. Default `10s`.
    pub grace: Duration,
    /// `[engines.NAME]`: what is watched. Default: one engine, `local`, from `DOCKER_HOST`.
    pub engines: BTreeMap<String, EngineConfig>,
    /// `[plugins.NAME]`: filters and formatters. The bundled ones are there under their own names.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// `[routes.NAME]`: what is told to whom. Default: one route, `default`.
    pub routes: BTreeMap<String, RouteConfig>,
    /// `[sinks.NAME]`: where messages go. Default: `terminal`, and `email` when `DOCKBELL_SMTP_URL` is set.
    pub sinks: BTreeMap<String, SinkConfig>,
}
