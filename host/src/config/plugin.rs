//! `[plugins.NAME]`: a filter or formatter, its configuration, its limits and its grants.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Sha256;
use super::document::{Document, Place};
use super::grants::Grants;
use super::problem::{Mistake, listed, nearest};
use super::reference::Reference;
use super::value::Value;

/// The plugins that are part of the program.
pub const BUNDLED: [&str; 3] = ["match", "email", "json"];

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
#[derive(Clone, PartialEq)]
pub struct PluginConfig {
    /// `component`: a bundled plugin's name (`match`, `email`, `json`), or the path of a component; relative to the
    /// configuration file. Or a component in an OCI registry, as `wkg` publishes it, by the digest of its manifest:
    /// `oci://registry.example.com/owner/name@sha256:…`. It is fetched once, into the state directory. Default: the table's own name.
    pub component: String,
    /// `sha256`: the digest of the component's file, which is then run with no other content. Default: any content.
    pub sha256: Option<Sha256>,
    /// `login-file`: a file with logins for registries, in the form of Docker's `config.json`. Default: none is used.
    pub login_file: Option<PathBuf>,
    /// `config`: handed to the plugin as JSON. Default `{}`.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// `timeout`: how long one call may take, start and `configure` included. Default `1s`; from `1ms` to `60s`.
    pub timeout: Duration,
    /// `memory`: how much memory an instance may have, in bytes. Default `64MiB`; from `1MiB` to `1GiB`.
    pub memory: usize,
    /// `on-error`: what becomes of an event when a filter fails on it. Default `pass`.
    pub on_error: OnError,
    /// `env`, `dirs`, `state`, `http`: what it may reach beside its interface. Default: nothing.
    pub grants: Grants,
    /// The configuration file that the table stands in, for messages; none for what has its defaults.
    pub file: Option<PathBuf>,
}

/// Of `config` the keys alone: it may hold whatever the plugin wants, a token among it.
impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.config.keys().collect();
        f.debug_struct("PluginConfig")
            .field("component", &self.component)
            .field("sha256", &self.sha256)
            .field("login_file", &self.login_file)
            .field("config", &keys)
            .field("timeout", &self.timeout)
            .field("memory", &self.memory)
            .field("on_error", &self.on_error)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
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
            sha256: None,
            login_file: None,
            config: serde_json::Map::new(),
            timeout: Duration::from_secs(1),
            memory: 64 << 20,
            on_error: OnError::Pass,
            grants: Grants::default(),
            file: None,
        }
    }
}

impl PluginConfig {
    /// One entry of `[plugins]`.
    pub(super) fn read(name: &str, name_place: &Place, value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let mut plugin = Self::new(name);
        let component = match table.take("component") {
            Some(component) => component.string(),
            None => Some((name.to_owned(), name_place.clone())),
        };
        let component = component.and_then(|(component, place)| resolve(table.document, component, &place));
        let is_file =
            component.as_ref().is_none_or(|component| !is_bundled(component) && !Reference::is_meant(component));
        if let Some(sha256) = table.take("sha256") {
            if !is_file {
                let hint = "remove `sha256`; in a reference the digest stands behind the `@`";
                sha256.report(Mistake::new("is for the file of a component, and there is none", hint));
            }
            plugin.sha256 = sha256.parse();
        }
        plugin.login_file = table.take("login-file").and_then(Value::path);
        // What cannot be read is reported, and then no configuration comes of it: the default stands in until then.
        let range = Duration::from_millis(1)..=Duration::from_secs(60);
        let choices = [("pass", OnError::Pass), ("drop", OnError::Drop)];
        plugin.config = table.take("config").and_then(Value::json).unwrap_or(plugin.config);
        plugin.timeout = table.take("timeout").and_then(|value| value.duration(range)).unwrap_or(plugin.timeout);
        plugin.memory = table.take("memory").and_then(|value| value.size(1 << 20..=1 << 30)).unwrap_or(plugin.memory);
        plugin.on_error = table.take("on-error").and_then(|value| value.choice(&choices)).unwrap_or_default();
        plugin.grants = Grants::read(&mut table);
        plugin.file = Some(table.document.name().to_owned());
        table.finish();
        plugin.component = component?;
        Some(plugin)
    }

    /// The file of the component; none for one that is part of the program or in a registry.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        let is_file = !self.is_bundled() && !Reference::is_meant(&self.component);
        is_file.then(|| PathBuf::from(&self.component))
    }

    /// Where the component is in a registry; none for one that is elsewhere.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        self.component.parse().ok().filter(|_| Reference::is_meant(&self.component))
    }

    /// Whether the component is part of the program.
    #[must_use]
    pub fn is_bundled(&self) -> bool {
        is_bundled(&self.component)
    }
}

fn is_bundled(component: &str) -> bool {
    BUNDLED.contains(&component)
}

/// A bundled plugin's name as it is, a path relative to the configuration file. What has neither `/` nor `.` in it is
/// meant to be a name.
fn resolve(document: &Document<'_>, component: String, place: &Place) -> Option<String> {
    if is_bundled(&component) {
        return Some(component);
    }
    if Reference::is_meant(&component) {
        let parsed = component.parse::<Reference>().map_err(|mistake| document.report(place, mistake));
        return parsed.ok().map(|_| component);
    }
    if component.contains(['/', '.']) && !component.contains('\0') {
        return Some(document.resolve(&component).to_string_lossy().into_owned());
    }
    let hint = match nearest(&component, BUNDLED) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "write `component = \"path/to/plugin.wasm\"`".to_owned(),
    };
    let message =
        format!("`{component}` is neither a bundled plugin ({}) nor the path of a component", listed(&BUNDLED));
    document.report(place, Mistake::new(message, hint));
    None
}
