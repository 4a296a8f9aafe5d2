//! The configuration: one TOML file, a few environment variables, and a default for everything.

mod assemble;
mod condition;
mod defaults;
pub mod digest;
mod docker;
mod document;
pub mod email;
pub mod engine;
pub mod environment;
mod file;
pub mod grants;
pub mod headers;
mod http_url;
mod locate;
mod mask;
pub mod notify;
pub mod origin;
pub mod plugin;
pub mod problem;
mod quantity;
pub mod rate;
pub mod reference;
pub mod route;
pub mod secret;
mod secrets;
mod signing;
pub mod sink;
mod smtp;
mod smtp_login;
mod template;
#[cfg(test)]
mod tests;
mod value;
mod warnings;
pub mod webhook;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use digest::Sha256;
pub use docker::HostOrigin;
pub use email::{Auth, EmailConfig, Login, SmtpServer, SmtpTls};
pub use engine::{EngineConfig, EngineTls, Host};
pub use environment::Environment;
pub use grants::Grants;
pub use http_url::HttpUrl;
pub use locate::{Located, locate};
pub use mask::Mask;
pub use notify::NotifyConfig;
pub use origin::{Origin, Reached, Server};
pub use plugin::{OnError, PluginConfig};
pub use problem::{ConfigError, Mistake, Problem};
pub use rate::Rate;
pub use reference::Reference;
pub use route::{DEFAULT_FILTER, GroupBy, RouteConfig};
pub use secret::Secret;
pub use signing::SigningKey;
pub use sink::{FileConfig, Output, SinkConfig, StdoutConfig};
pub use smtp::is_domain;
pub use template::{Template, Told};
pub use webhook::{Method, WebhookConfig};

use document::Document;

/// The file that is read when none is named, if it exists.
pub const DEFAULT_FILE: &str = "/etc/dockbell/dockbell.toml";

/// A whole configuration, checked: every name that a route mentions exists.
#[derive(Debug, Clone)]
pub struct Config {
    /// `hostname`: the name that messages give this machine. `DOCKBELL_HOSTNAME` wins over it, so that many machines can
    /// share a file. Default: the system's host name.
    pub hostname: String,
    /// `grace`: how long a stop may take to deliver what is open. Default `10s`; at most `10m`.
    pub grace: Duration,
    /// `[engines.NAME]`: what is watched. Default: one engine, `local`, which is that of the `docker` command.
    pub engines: BTreeMap<String, EngineConfig>,
    /// How the addresses of the engines without `host` were chosen, by the engine's name.
    pub host_origins: BTreeMap<String, HostOrigin>,
    /// `[plugins.NAME]`: filters and formatters. The bundled ones are there under their own names, and the
    /// filter of routes without `filters` is there as `default`. Only those that a route names need to be loaded.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// `[routes.NAME]`: what is told to whom. `fallback = "SINK"` at the top of the file makes a route `fallback`: it tells
    /// that sink, at most once a minute, which messages other sinks did not deliver, and which sinks take nothing. A sink is
    /// never told about itself, and that this could not be told is not told either. Default: one route, `default`. Without `[routes]` and `[sinks]`: a route
    /// `terminal` that writes each event at once, and the route `default` for the mails if `DOCKBELL_SMTP_URL` is set.
    pub routes: BTreeMap<String, RouteConfig>,
    /// `[sinks.NAME]`: where messages go. Default: `terminal`. With `DOCKBELL_SMTP_URL` there is a sink `email`, beside
    /// those of the file.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// What is allowed but probably not meant, in whole sentences; for the log and `check`.
    pub warnings: Vec<String>,
}

impl Config {
    /// The file that [`load`](Self::load) reads: the one given, else the one that `DOCKBELL_CONFIG` names, else
    /// [`DEFAULT_FILE`] if that exists.
    #[must_use]
    pub fn file(file: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
        let named = file.map(Path::to_path_buf).or_else(|| environment.path(environment::CONFIG));
        // One that cannot be looked at is read, which says why.
        let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|default| default.try_exists().unwrap_or(true));
        named.or_else(default)
    }

    /// The configuration from a file and the environment; see [`file`](Self::file). Without any file everything has its
    /// default.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let Some(path) = Self::file(file, environment) else { return Self::from_environment(environment) };
        let is_named_by_environment = file.is_none() && environment.path(environment::CONFIG).is_some();
        let place = if is_named_by_environment { environment::CONFIG.into() } else { path.display().to_string() };
        let text = file::read_configuration(&path).map_err(|mistake| Problem::at(place, mistake))?;
        Self::parse(&path, &text, environment)
    }

    /// The configuration without any file.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        Self::parse(Path::new("dockbell.toml"), "", environment)
    }

    /// The configuration that `text` and the environment describe. `name` stands in messages; paths in the text are
    /// relative to its folder.
    pub fn parse(name: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let document = Document::new(name, text);
        let mut problems = Vec::new();
        let config = document.parse().and_then(|root| assemble::assemble(root, environment, &mut problems));
        let mut all = document.into_problems();
        all.append(&mut problems);
        config.filter(|_| all.is_empty()).ok_or_else(|| ConfigError::from(all))
    }
}
