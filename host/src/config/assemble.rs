//! Puts a configuration together from the file's tables, the environment and the defaults.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::document::{Place, Table};
use super::environment::{Environment, HOSTNAME, SMTP_URL};
use super::problem::{Mistake, Problem, choose};
use super::route::{Names, PLAIN};
use super::value::Value;
use super::{
    Config, EmailConfig, EngineConfig, PluginConfig, RouteConfig, SinkConfig, StdoutConfig, defaults, docker, warnings,
};
use crate::text;

/// What a section holds; none for an entry that was reported, so that its name is known nevertheless.
type Entries<T> = BTreeMap<String, Option<T>>;

/// The whole configuration. None where a mistake was reported, in the file's document or in `problems`.
pub(super) fn assemble(mut root: Table<'_>, environment: &Environment, problems: &mut Vec<Problem>) -> Option<Config> {
    let hostname = hostname(&mut root, environment, problems);
    let grace = root.take("grace").and_then(|value| value.duration(Duration::ZERO..=Duration::from_secs(600)));

    let chosen = docker::choose_engine(environment);
    let without_host = RefCell::new(BTreeSet::new());
    let choose_for = |name: &str| {
        without_host.borrow_mut().insert(name.to_owned());
        chosen.as_ref().map(|chosen| chosen.engine.clone()).map_err(Clone::clone)
    };
    let mut engines = section(&mut root, "engines", |name, _, value| EngineConfig::read(value, || choose_for(name)));
    if engines.is_empty() {
        engines.insert("local".to_owned(), choose_for("local").map_err(|problem| problems.push(problem)).ok());
    }

    let own_plugins = section(&mut root, "plugins", read_plugin);
    let own_names: Vec<String> = own_plugins.keys().cloned().collect();
    let mut plugins: Entries<_> = defaults::plugins().map(|(name, plugin)| (name, Some(plugin))).collect();
    plugins.extend(own_plugins);

    let mut sinks = section(&mut root, "sinks", |_, _, value| SinkConfig::read(value, &hostname));
    let nothing_said = sinks.is_empty() && !root.has("routes");
    match EmailConfig::from_environment(environment, &hostname) {
        Ok(Some(_)) if sinks.contains_key("email") => {
            let hint = format!("unset `{SMTP_URL}`, or give the file's sink another name");
            problems
                .push(Problem::at(SMTP_URL, Mistake::new("makes a sink `email`, which the file has already", hint)));
        }
        Ok(mail) => sinks.extend(mail.map(|mail| ("email".to_owned(), Some(SinkConfig::Email(mail))))),
        Err(problem) => problems.push(problem),
    }
    if nothing_said || sinks.is_empty() {
        sinks.insert("terminal".to_owned(), Some(SinkConfig::Stdout(StdoutConfig::default())));
    }

    let names = Names { engines: names(&engines), plugins: names(&plugins), sinks: names(&sinks) };
    let mut routes = section(&mut root, "routes", |_, _, value| RouteConfig::read(value, &names));
    if nothing_said {
        routes.extend(defaults::routes(&names).map(|(name, route)| (name, Some(route))));
    } else if routes.is_empty() {
        routes.insert("default".to_owned(), Some(RouteConfig::new(&names)));
    }
    let mut filter_of_fallback = None;
    if let Some((sink, place)) = root.take("fallback").and_then(Value::string) {
        if !names.sinks.contains(&sink.as_str()) {
            let hint = choose(&sink, &names.sinks, "sinks");
            root.document.report(&place, Mistake::new(format!("there is no sink `{sink}`"), hint));
        }
        let (route, filter) = defaults::fallback(&names, &sink);
        let route = routes.insert(defaults::FALLBACK.to_owned(), Some(route)).map(|_| "route");
        let plugin = names.plugins.contains(&defaults::FALLBACK).then_some("plugin");
        if let Some(what) = route.or(plugin) {
            let message = format!("makes a {what} `{}`, which is there already", defaults::FALLBACK);
            root.document.report(&place, Mistake::new(message, format!("give that {what} another name")));
        }
        filter_of_fallback = Some((defaults::FALLBACK.to_owned(), Some(filter)));
    }
    plugins.extend(filter_of_fallback);
    root.finish();

    let without_host = without_host.into_inner();
    let config = Config {
        hostname,
        grace: grace.unwrap_or(Duration::from_secs(10)),
        engines: complete(engines)?,
        host_origins: chosen
            .iter()
            .flat_map(|chosen| without_host.iter().map(|name| (name.clone(), chosen.origin.clone())))
            .collect(),
        plugins: complete(plugins)?,
        routes: complete(routes)?,
        sinks: complete(sinks)?,
        warnings: Vec::new(),
    };
    let mut warnings = warnings::of(&config, &own_names, environment);
    warnings.extend(chosen.ok().filter(|_| !without_host.is_empty()).and_then(|chosen| chosen.warning));
    Some(Config { warnings, ..config })
}

/// Reads `[key.NAME]` for every name.
fn section<'d, T>(
    root: &mut Table<'d>,
    key: &'static str,
    read: impl Fn(&str, &Place, Value<'d>) -> Option<T>,
) -> Entries<T> {
    let Some(table) = root.take(key).and_then(Value::table) else { return Entries::new() };
    let document = table.document;
    let entries = table.into_entries().map(|(name, place, value)| {
        if !is_name(&name) {
            let hint = "names are 1 to 64 letters, digits, `-`, `_` and `.`";
            document.report(&place, Mistake::new("is not a name", hint));
        }
        let entry = read(&name, &place, value);
        (name, entry)
    });
    entries.collect()
}

/// Names stand in logs, on the status page and in file names.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn names<T>(entries: &Entries<T>) -> Vec<&str> {
    entries.keys().map(String::as_str).collect()
}

fn complete<T>(entries: Entries<T>) -> Option<BTreeMap<String, T>> {
    entries.into_iter().map(|(name, entry)| Some((name, entry?))).collect()
}

fn read_plugin(name: &str, place: &Place, value: Value<'_>) -> Option<PluginConfig> {
    if name == PLAIN {
        let mistake = Mistake::new("`plain` is dockbell's own formatter", "give the plugin another name");
        value.document.report(place, mistake);
    }
    PluginConfig::read(name, place, value)
}

fn hostname(root: &mut Table<'_>, environment: &Environment, problems: &mut Vec<Problem>) -> String {
    let wrong = || Mistake::new("is not a host name", "such as `web-1` or `web-1.example.com`");
    let key = root.take("hostname").and_then(|value| {
        let (name, place) = value.string()?;
        if !is_hostname(&name) {
            root.document.report(&place, wrong());
        }
        Some(name)
    });
    match environment.text_or_file(HOSTNAME) {
        Ok(Some(setting)) if is_hostname(&setting.value) => return setting.value,
        Ok(Some(setting)) => problems.push(Problem::at(setting.variable, wrong())),
        Ok(None) => {}
        Err(problem) => problems.push(problem),
    }
    key.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

/// At most 253 characters (RFC 1035), none of which would break a line of mail or log.
fn is_hostname(name: &str) -> bool {
    (1..=253).contains(&name.len()) && !name.contains(|c: char| text::is_hidden(c) || c.is_whitespace())
}
