//! Which files are read as components, and what a component may import and must export.

use std::borrow::Cow;
use std::fs::Metadata;
use std::path::PathBuf;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::BUNDLED;
use super::compile::Binary;
use super::error::Refused;
use super::v0_1::{PACKAGE, TRACK, VERSION};

/// Interfaces that a plugin may import, by prefix: `logging`, and the packages of `wasi:cli/imports`, all that is linked.
const OFFERED: [&str; 7] = [
    "dockbell:plugin/logging@",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];
/// Largest component that is read. CPython makes 18 MB; this leaves room for libraries beside it.
const MAX_BYTES: u64 = 256 << 20;

/// What a component exports of the plugin interface.
pub(super) struct Exports {
    pub(super) filter: bool,
    pub(super) formatter: bool,
}

/// Reads a bundled component or a file.
pub(super) fn read(plugin: &str, component: &str) -> Result<Cow<'static, [u8]>, Refused> {
    if let Some(bundled) = BUNDLED.iter().find(|bundled| bundled.name == component) {
        return Ok(bundled.component.into());
    }
    let path = PathBuf::from(component);
    let unreadable = |source| Refused::Unreadable { plugin: plugin.to_owned(), path: path.clone(), source };
    let refuse = |reason| Refused::NotAComponent { plugin: plugin.to_owned(), component: component.to_owned(), reason };
    if let Some(reason) = unfit(&std::fs::metadata(&path).map_err(unreadable)?) {
        return Err(refuse(reason));
    }
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    match Binary::of(&bytes) {
        Binary::Other(what) => Err(refuse(what.to_owned())),
        Binary::Component | Binary::Module => Ok(bytes.into()),
    }
}

/// Why a file is not even read: reading a pipe or a device may never end.
fn unfit(file: &Metadata) -> Option<String> {
    let length = file.len();
    if file.is_dir() {
        Some("it is a folder".to_owned())
    } else if !file.is_file() {
        Some("it is not a file but a pipe, a socket or a device".to_owned())
    } else if length > MAX_BYTES {
        Some(format!("it has {length} bytes, more than the {MAX_BYTES} that are read"))
    } else {
        None
    }
}

impl Exports {
    /// Looks for `setup`, `filter` and `formatter` of a version that is served.
    pub(super) fn of(engine: &Engine, component: &Component, plugin: &str) -> Result<Self, Refused> {
        let ty = component.component_type();
        let names: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
        let ours = names.iter().filter_map(|name| name.strip_prefix(PACKAGE)?.strip_prefix('/'));
        let versions: Vec<(&str, &str)> = ours.filter_map(|name| name.split_once('@')).collect();
        if let Some((_, found)) = versions.iter().find(|(_, version)| !version.starts_with(TRACK)) {
            let plugin = plugin.to_owned();
            return Err(Refused::WrongVersion { plugin, found: (*found).to_owned(), served: "0.1.x" });
        }
        let has = |interface: &str| versions.iter().any(|(name, _)| *name == interface);
        let exports = Self { filter: has("filter"), formatter: has("formatter") };
        let lacks = match (exports.filter || exports.formatter, has("setup")) {
            (true, true) => return Ok(exports),
            (true, false) => format!("`{PACKAGE}/setup@{VERSION}`"),
            (false, _) => format!("`{PACKAGE}/filter@{VERSION}` or `{PACKAGE}/formatter@{VERSION}`"),
        };
        let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        Err(Refused::Misfit {
            plugin: plugin.to_owned(),
            reason: format!("it lacks the export {lacks}; it exports {found}"),
        })
    }
}

/// Names every import that nobody offers, instead of the first one only.
pub(super) fn check_imports(engine: &Engine, component: &Component, plugin: &str) -> Result<(), Refused> {
    let ty = component.component_type();
    let types = format!("{PACKAGE}/types@");
    let unknown: Vec<String> = ty
        .imports(engine)
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with(&types) && !OFFERED.iter().any(|offered| name.starts_with(offered)))
        .map(|name| format!("`{name}`"))
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Refused::UnknownImports { plugin: plugin.to_owned(), imports: unknown })
    }
}
