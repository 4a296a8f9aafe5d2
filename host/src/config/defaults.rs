//! What there is when the file does not say otherwise.

use serde_json::{Value, json};

use super::route::{DEFAULT_FILTER, Names};
use super::{PluginConfig, RouteConfig, plugin};

/// Name of the route to the fallback sink, and of its filter.
pub(super) const FALLBACK: &str = "fallback";

/// Actions of a container that say nothing about its life: somebody looked into it, ran a command in it, or copied files
/// (moby `api/types/events`). The last lines are Podman's (`libpod/events`): other words for the same, and its own upkeep.
#[rustfmt::skip]
const NOISE: [&str; 22] = [
    "attach", "detach", "resize", "top",
    "exec_create", "exec_start", "exec_detach", "exec_die",
    "archive-path", "extract-to-dir", "copy", "export",
    "exec", "exec_died", "history",
    "init", "cleanup", "sync", "refresh", "mount", "unmount", "prune",
];

/// The bundled plugins under their own names, and the filter of routes without `filters`.
pub(super) fn plugins() -> impl Iterator<Item = (String, PluginConfig)> {
    let mut filter = PluginConfig::new("match");
    if let Value::Object(condition) = json!({
        "any": [{ "kind": "dockbell", "not": { "action": ["started", "stopped", "reloaded"] } }, { "kind": "container", "not": { "action": NOISE } }]
    }) {
        filter.config = condition;
    }
    let bundled = plugin::BUNDLED.iter().map(|name| (String::from(*name), PluginConfig::new(name)));
    bundled.chain([(DEFAULT_FILTER.to_owned(), filter)])
}

/// The route that tells the fallback sink what other sinks did not deliver, and its filter.
pub(super) fn fallback(names: &Names<'_>, sink: &str) -> (RouteConfig, PluginConfig) {
    let mut filter = PluginConfig::new("match");
    if let Value::Object(condition) = json!({ "kind": "dockbell", "action": ["dead_letter", "sink_failed"] }) {
        filter.config = condition;
    }
    let (filters, to) = (vec![FALLBACK.to_owned()], vec![sink.to_owned()]);
    (RouteConfig { filters, to, ..RouteConfig::new(names) }, filter)
}

/// The routes when the file says nothing about routes and sinks: mails as digests, the terminal at once.
pub(super) fn routes(names: &Names<'_>) -> impl Iterator<Item = (String, RouteConfig)> {
    let mail = names.sinks.contains(&"email").then(|| {
        let route = RouteConfig { to: vec!["email".to_owned()], ..RouteConfig::new(names) };
        ("default".to_owned(), route)
    });
    mail.into_iter().chain([("terminal".to_owned(), RouteConfig::terminal(names, "terminal"))])
}
