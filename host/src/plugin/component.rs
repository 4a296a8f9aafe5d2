//! From a file to a checked component.

use std::fs::Metadata;
use std::path::PathBuf;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::BUNDLED;
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

/// Reads a bundled component or a file; a core module that carries its WIT is made into a component. Also says how large it
/// was.
pub(super) fn read(engine: &Engine, plugin: &str, component: &str) -> Result<(Component, usize), Refused> {
    if let Some(bundled) = BUNDLED.iter().find(|bundled| bundled.name == component) {
        return compile(engine, plugin, component, bundled.component);
    }
    let path = PathBuf::from(component);
    let unreadable = |source| Refused::Unreadable { plugin: plugin.to_owned(), path: path.clone(), source };
    if let Some(reason) = unfit(&std::fs::metadata(&path).map_err(unreadable)?) {
        return Err(Refused::NotAComponent { plugin: plugin.to_owned(), component: component.to_owned(), reason });
    }
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    compile(engine, plugin, component, &bytes)
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

fn compile(engine: &Engine, plugin: &str, component: &str, bytes: &[u8]) -> Result<(Component, usize), Refused> {
    let refuse =
        |reason: String| Refused::NotAComponent { plugin: plugin.to_owned(), component: component.to_owned(), reason };
    let encoded;
    let binary = match Binary::of(bytes) {
        Binary::Component => bytes,
        Binary::Module => {
            encoded = encode(bytes).map_err(|error| refuse(format!("it is a core module, and {error:#}")))?;
            &encoded
        }
        Binary::Other(what) => return Err(refuse(what.to_owned())),
    };
    // `from_binary` and not `new`: text and precompiled code are never accepted.
    let compiled = Component::from_binary(engine, binary).map_err(|error| refuse(format!("{error:#}")))?;
    Ok((compiled, bytes.len()))
}

/// What the first bytes say.
enum Binary {
    Component,
    Module,
    Other(&'static str),
}

impl Binary {
    /// Magic number, then version 1 and layer 0 (core module) or 0x0d and 1 (component); WebAssembly core specification 5.5
    /// and component-model `Binary.md`.
    fn of(bytes: &[u8]) -> Self {
        match bytes.get(..8) {
            Some(b"\0asm\x0d\0\x01\0") => Self::Component,
            Some(b"\0asm\x01\0\0\0") => Self::Module,
            Some([0, b'a', b's', b'm', ..]) => Self::Other("it has a version of the binary format that is not known"),
            Some([0x7f, b'E', b'L', b'F', ..]) => Self::Other("it is native code"),
            None if bytes.is_empty() => Self::Other("the file is empty"),
            _ => Self::Other("it does not begin as WebAssembly does"),
        }
    }
}

fn encode(module: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let carries_wit = module.windows(14).any(|window| window == b"component-type");
    wasmtime::ensure!(carries_wit, "it carries no description of its interface (a `component-type` section)");
    let encode = || wit_component::ComponentEncoder::default().validate(true).module(module)?.encode();
    // The encoder panics at some damaged modules: where the size of a section or a type index leads out of them (0.254).
    match std::panic::catch_unwind(encode) {
        Ok(encoded) => {
            encoded.map_err(|error| wasmtime::Error::msg(format!("it cannot be made into a component: {error:#}")))
        }
        Err(_) => wasmtime::bail!("it cannot be made into a component: it is damaged"),
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
