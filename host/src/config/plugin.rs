//! `[plugins.NAME]`: a filter or formatter, its configuration and its limits.

use std::time::Duration;

/// A filter or formatter under a name that routes use.
///
/// ```toml
/// [plugins.trouble]
/// component = "match"                  # bundled, or "path/to/mine.wasm"
/// config = { action = ["die", "oom"] } # what the plugin's `configure` is given, as JSON
/// timeout = "1s"
/// memory = "64MiB"
/// on-error = "pass"
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConfig {
    /// `component`: a bundled plugin's name (`match`, `email`, `json`), or the path of a component; relative to the
    /// configuration file. Default: the table's own name.
    pub component: String,
    /// `config`: handed to the plugin as JSON. Default `{}`.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// `timeout`: how long one call may take, start and `configure` included. Default `1s`; from `1ms` to `60s`.
    pub timeout: Duration,
    /// `memory`: how much memory an instance may have, in bytes. Default `64MiB`; from `1MiB` to `1GiB`.
    pub memory: usize,
    /// `on-error`: what becomes of an event when a filter fails on it. Default `pass`.
    pub on_error: OnError,
}

/// What becomes of an event when a filter fails on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// It is told: one message too many is better than one too few.
    #[default]
    Pass,
    /// It is not told by this route.
    Drop,
}

impl PluginConfig {
    /// A plugin with the default limits and an empty configuration.
    #[must_use]
    pub fn new(component: &str) -> Self {
        Self {
            component: component.to_owned(),
            config: serde_json::Map::new(),
            timeout: Duration::from_secs(1),
            memory: 64 << 20,
            on_error: OnError::Pass,
        }
    }
}
