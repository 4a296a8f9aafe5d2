//! From what a compiler wrote to a component, and what such a component says about itself.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding};
use wit_parser::{IndexMap, Resolve, SourceMap, WorldItem, WorldKey};

use super::language::WIT;
use super::project::Kind;

/// WASI preview 1 made of nothing, for what compilers link whether it is used or not.
const PREVIEW1: &[u8] = include_bytes!("../../../../plugins/dist/preview1.wasm");

/// A core module that a compiler wrote, with the interface in it that a plugin of this kind has.
pub(super) fn described(file: &Path, kind: Kind) -> anyhow::Result<Vec<u8>> {
    let mut module = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    describe(&mut module, kind.world())?;
    Ok(module)
}

/// Makes a component of a core module that carries its interface.
pub(super) fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut adapter = PREVIEW1.to_vec();
    describe(&mut adapter, "imports")?;
    let encoder = ComponentEncoder::default().validate(true).adapter("wasi_snapshot_preview1", &adapter)?;
    let encoded = encoder.module(module).and_then(|mut encoder| encoder.encode());
    encoded.context("what the compiler wrote does not make a component")
}

/// Looks that a component is a plugin of this kind, and answers the interfaces that it imports.
pub(super) fn imports(component: &[u8], kind: Kind) -> anyhow::Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("the compiler wrote no component");
    };
    let names = |items: &IndexMap<WorldKey, WorldItem>| -> Vec<String> {
        items.keys().map(|key| resolve.name_world_key(key)).collect()
    };
    let world = &resolve.worlds[world];
    let (mut imports, exports) = (names(&world.imports), names(&world.exports));
    for wanted in ["setup", kind.name()] {
        let prefix = format!("dockbell:plugin/{wanted}@");
        ensure!(
            exports.iter().any(|export| export.starts_with(&prefix)),
            "the component does not export `{prefix}0.1.0`, as a {} must; it exports {}",
            kind.name(),
            exports.join(", ")
        );
    }
    // Types alone: nothing is called there.
    imports.retain(|import| !import.starts_with("dockbell:plugin/types@"));
    Ok(imports)
}

fn describe(module: &mut Vec<u8>, world: &str) -> anyhow::Result<()> {
    let mut files = SourceMap::new();
    for (path, content) in WIT {
        files.push_str(path, std::str::from_utf8(content)?);
    }
    let mut resolve = Resolve::default();
    let package = resolve.push_group(files.parse().map_err(|(_, error)| error)?)?;
    let world = resolve.select_world(&[package], Some(world))?;
    wit_component::embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}
