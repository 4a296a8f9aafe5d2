//! `[routes.NAME]`: which events are told, how, when and to whom.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::document::Table;
use super::problem::{Mistake, choose};
use super::value::Value;

/// The formatter that is not a plugin: dockbell's own one line per event.
pub const PLAIN: &str = "plain";

/// The plugin that routes without `filters` use.
pub const DEFAULT_FILTER: &str = "default";

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
    /// `engines`: names of engines, at least one. Default: all.
    pub engines: Vec<String>,
    /// `filters`: names of plugins; an event must pass each, in this order. Default: `default`, a plugin that keeps
    /// container events and dockbell's own, without the noise (exec, attach, detach, top, resize and copies of files).
    /// Without any (`[]`) everything passes.
    pub filters: Vec<String>,
    /// `formatter`: name of a plugin, or `plain` for dockbell's own one line per event. Default `email`.
    pub formatter: String,
    /// `to`: names of sinks, at least one. Default: all.
    pub to: Vec<String>,
    /// `group-by`: which events share a digest. Default `none`.
    pub group_by: GroupBy,
    /// `settle`: how long the first event waits for others that belong to it. Default `1s`; from `0s` to `10m`.
    pub settle: Duration,
    /// `window`: after the first message, one digest per window. The first trouble behind a message that told none does not
    /// wait for it. `0s` tells every event at once. Default `60s`; at most `7d`.
    pub window: Duration,
    /// `window-max`: while a window brings nothing but containers that restart again and again, the window doubles up to
    /// this. Default `1h`, or `window` if that is longer; from `window` to `7d`.
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

impl GroupBy {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Service, Self::Container, Self::Engine, Self::Kind];

    /// The word that a configuration has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Service => "service",
            Self::Container => "container",
            Self::Engine => "engine",
            Self::Kind => "kind",
        }
    }
}

/// The names that a route may mention.
pub(super) struct Names<'a> {
    pub(super) engines: Vec<&'a str>,
    pub(super) plugins: Vec<&'a str>,
    pub(super) sinks: Vec<&'a str>,
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl RouteConfig {
    /// Names of its plugins: the filters, then the formatter.
    pub fn plugins(&self) -> impl Iterator<Item = &String> {
        self.filters.iter().chain([&self.formatter])
    }

    /// A route with all defaults: every engine, the default filter, mails, every sink.
    pub(super) fn new(names: &Names<'_>) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            engines: owned(&names.engines),
            filters: vec![DEFAULT_FILTER.to_owned()],
            formatter: "email".to_owned(),
            to: owned(&names.sinks),
            group_by: GroupBy::None,
            settle: Duration::from_secs(1),
            window: Duration::from_secs(60),
            window_max: Duration::from_secs(60 * 60),
        }
    }

    /// A route that writes each event at once, one line each.
    pub(super) fn terminal(names: &Names<'_>, sink: &str) -> Self {
        Self {
            formatter: PLAIN.to_owned(),
            to: vec![sink.to_owned()],
            settle: Duration::ZERO,
            window: Duration::ZERO,
            ..Self::new(names)
        }
    }

    /// One entry of `[routes]`. What cannot be read is reported, and then no configuration comes of it: the default stands
    /// in until then.
    pub(super) fn read(value: Value<'_>, names: &Names<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let mut route = Self::new(names);
        let formatters: Vec<_> = names.plugins.iter().copied().chain([PLAIN]).collect();
        let groups = GroupBy::ALL.map(|by| (by.name(), by));
        route.engines = list(&mut table, "engines", "engine", &names.engines, 1).unwrap_or(route.engines);
        route.filters = list(&mut table, "filters", "plugin", &names.plugins, 0).unwrap_or(route.filters);
        route.to = list(&mut table, "to", "sink", &names.sinks, 1).unwrap_or(route.to);
        if let Some((formatter, place)) = table.take("formatter").and_then(Value::string) {
            if !formatters.contains(&formatter.as_str()) {
                let message = format!("there is no formatter `{formatter}`");
                table.document.report(&place, Mistake::new(message, choose(&formatter, &formatters, "formatters")));
            }
            route.formatter = formatter;
        }
        route.group_by = table.take("group-by").and_then(|value| value.choice(&groups)).unwrap_or_default();
        let settle = Duration::ZERO..=Duration::from_secs(600);
        route.settle = duration(&mut table, "settle", settle).unwrap_or(route.settle);
        route.window = duration(&mut table, "window", Duration::ZERO..=WEEK).unwrap_or(route.window);
        let most = duration(&mut table, "window-max", route.window..=WEEK);
        route.window_max = most.unwrap_or(route.window_max.max(route.window));
        table.finish();
        Some(route)
    }
}

fn duration(table: &mut Table<'_>, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
    table.take(key)?.duration(range)
}

/// A list of names, each of which must exist.
fn list(table: &mut Table<'_>, key: &'static str, what: &str, known: &[&str], least: usize) -> Option<Vec<String>> {
    let value = table.take(key)?;
    let (document, place) = (value.document, value.place.clone());
    let names = value.strings()?;
    if names.len() < least {
        let message = "is empty, so this route would tell nothing";
        document.report(&place, Mistake::new(message, "leave the key out to mean all, or remove the route"));
    }
    for (name, place) in &names {
        if !known.contains(&name.as_str()) {
            let hint = choose(name, known, &format!("{what}s"));
            document.report(place, Mistake::new(format!("there is no {what} `{name}`"), hint));
        }
    }
    Some(names.into_iter().map(|(name, _)| name).collect())
}
