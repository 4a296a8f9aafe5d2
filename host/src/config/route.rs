//! `[routes.NAME]`: which events are told, how, when and to whom.

use std::time::Duration;

/// Which events are told, how, when and to whom.
///
/// ```toml
/// [routes.default]
/// engines = ["local"]
/// filters = ["trouble"]
/// formatter = "email"
/// to = ["ops"]
/// group-by = "service"
/// settle = "1s"
/// window = "60s"
/// window-max = "1h"
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// `engines`: names of engines. Default: all.
    pub engines: Vec<String>,
    /// `filters`: names of plugins; an event must pass each, in this order. Default: one that keeps container events and
    /// dockbell's own, without the noise (exec, attach, detach, top, resize).
    pub filters: Vec<String>,
    /// `formatter`: name of a plugin, or `plain` for dockbell's own one line per event. Default `email`.
    pub formatter: String,
    /// `to`: names of sinks. Default: all.
    pub to: Vec<String>,
    /// `group-by`: which events share a digest. Default `none`.
    pub group_by: GroupBy,
    /// `settle`: how long the first event waits for others that belong to it. Default `1s`.
    pub settle: Duration,
    /// `window`: after the first message, one digest per window. `0s` tells every event at once. Default `60s`.
    pub window: Duration,
    /// `window-max`: while a window brings nothing but containers that restart again and again, the window doubles up to
    /// this. Default `1h`.
    pub window_max: Duration,
}

/// Which events share a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupBy {
    /// All of the route.
    #[default]
    None,
    /// Those of one identity: a compose service, else a container name.
    Service,
    /// Those of one container.
    Container,
    /// Those of one engine.
    Engine,
    /// Those of one kind (`container`, `image`, ...).
    Kind,
}
