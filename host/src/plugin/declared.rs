//! What a component says of itself: what it exports and imports, and whether that is a plugin.

use serde::Serialize;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::ask::Ask;
use super::error::{Refused, outside};
use super::runtime::Role;
use super::v0_1::{PACKAGE, TRACK, VERSION};
use crate::config::PluginConfig;
use crate::text::one_line;

/// Interfaces that a plugin may import, by prefix: all that is linked. Some must be granted: [`Ask`].
const OFFERED: [&str; 10] = [
    "dockbell:plugin/types@",
    "dockbell:plugin/logging@",
    "dockbell:plugin/state@",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Bytes kept of a name: those of interfaces have below 100, but a component may name anything.
const MAX_NAME: usize = 200;
/// Names in an error; a component may have a million.
const MAX_NAMES: usize = 10;

/// The names of the interfaces that a component exports and imports, as it says them, fit for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// What it offers.
    pub exports: Vec<String>,
    /// What it needs.
    pub imports: Vec<String>,
}

impl Declared {
    pub(super) fn of(engine: &Engine, component: &Component) -> Self {
        let ty = component.component_type();
        Self {
            exports: ty.exports(engine).map(|(name, _)| one_line(name, MAX_NAME)).collect(),
            imports: ty.imports(engine).map(|(name, _)| one_line(name, MAX_NAME)).collect(),
        }
    }

    /// The exports that are of the plugin interface: their names in it and their versions.
    fn ours(&self) -> impl Iterator<Item = (&str, &str)> {
        let ours = self.exports.iter().filter_map(|name| name.strip_prefix(PACKAGE)?.strip_prefix('/'));
        ours.filter_map(|name| name.split_once('@'))
    }

    /// The version of the plugin interface that it was built for, such as `0.1.0`; none where it is no plugin.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.ours().map(|(_, version)| version).next()
    }

    /// What it can be in a route.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        let is = |role: &Role| self.ours().any(|(name, _)| name == role.to_string());
        [Role::Filter, Role::Formatter].into_iter().filter(is).collect()
    }

    /// Whether it takes events in their packed form, too.
    pub(super) fn is_packed_filter(&self) -> bool {
        self.ours().any(|(name, _)| name == "packed-filter")
    }

    /// What it asks for.
    #[must_use]
    pub fn asks(&self) -> Vec<Ask> {
        Ask::ALL.into_iter().filter(|ask| self.imports.iter().any(|name| ask.is_import(name))).collect()
    }

    /// Whether all that it asks for is granted.
    pub(super) fn check_asks(&self, plugin: &str, config: &PluginConfig) -> Result<(), Refused> {
        let asks: Vec<Ask> = self.asks().into_iter().filter(|ask| !ask.is_granted(&config.grants)).collect();
        if asks.is_empty() {
            return Ok(());
        }
        let is_one = |name: &&String| asks.iter().any(|ask| ask.is_import(name));
        let imports = listed(self.imports.iter().filter(is_one));
        Err(Refused::NotGranted { plugin: plugin.to_owned(), imports, asks, file: config.file.clone() })
    }

    /// Whether it exports `setup`, and `filter` or `formatter`, of a version that is served.
    pub(super) fn check_exports(&self, plugin: &str) -> Result<(), Refused> {
        if let Some((_, found)) = self.ours().find(|(_, version)| !version.starts_with(TRACK)) {
            let plugin = plugin.to_owned();
            return Err(Refused::WrongVersion { plugin, found: found.to_owned(), served: "0.1.x" });
        }
        let lacks = match (!self.roles().is_empty(), self.ours().any(|(name, _)| name == "setup")) {
            (true, true) => return Ok(()),
            (true, false) => format!("`{PACKAGE}/setup@{VERSION}`"),
            (false, _) => format!("`{PACKAGE}/filter@{VERSION}` or `{PACKAGE}/formatter@{VERSION}`"),
        };
        let found = if self.exports.is_empty() { "nothing".to_owned() } else { listed(self.exports.iter()).join(", ") };
        Err(Refused::Misfit {
            plugin: plugin.to_owned(),
            reason: outside(format_args!("it lacks the export {lacks}; it exports {found}")),
        })
    }

    /// Names every import that nobody offers, instead of the first one only.
    pub(super) fn check_imports(&self, plugin: &str) -> Result<(), Refused> {
        let is_offered = |name: &&String| OFFERED.iter().any(|offered| name.starts_with(offered));
        let unknown = listed(self.imports.iter().filter(|name| !is_offered(name)));
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Refused::UnknownImports { plugin: plugin.to_owned(), imports: unknown })
        }
    }
}

/// Names as an error lists them: the first ones, and how many there are beside them.
fn listed<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names = names.peekable();
    let mut listed: Vec<String> = names.by_ref().take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    if names.peek().is_some() {
        listed.push(format!("and {} more", names.count()));
    }
    listed
}
