//! `dockbell plugin build`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{IndexMap, WorldItem, WorldKey};

use super::language;
use super::project::{Kind, Made, Project};

/// How a core module and a component begin (WebAssembly core specification 5.5, component model `Binary.md`).
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// What `plugin build` takes.
#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The plugin's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where to write the component [default: NAME.wasm in the folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Builds, and says what came of it.
pub(super) fn run(args: &BuildArgs) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.dir)?;
    project.write(&language::renewed(&project.marker)?)?;
    let built = language::build(&project)?;
    let component = if built.starts_with(MODULE) { encode(&built, None)? } else { built };
    let imports = check(&component, project.marker.kind)?;
    let path = args.out.clone().unwrap_or_else(|| args.dir.join(project.marker.name.as_str()).with_extension("wasm"));
    Made::new(&path, component.as_slice()).write(Path::new(""))?;
    let bytes = fs::metadata(&path).with_context(|| format!("cannot read `{}`", path.display()))?.len();
    let imports = if imports.is_empty() { "nothing".to_owned() } else { imports.join(", ") };
    // Whoever closed our output does not want to know.
    let _ = writeln!(
        std::io::stdout(),
        "built `{}`: a {}, {} KiB, imports {imports}",
        path.display(),
        project.marker.kind.name(),
        bytes.div_ceil(1024)
    );
    Ok(ExitCode::SUCCESS)
}

/// Makes a component of a core module that carries its interface. `adapter` stands for what it imports of WASI preview 1.
pub(super) fn encode(module: &[u8], adapter: Option<&[u8]>) -> anyhow::Result<Vec<u8>> {
    let encoder = ComponentEncoder::default().validate(true);
    let encoder = match adapter {
        Some(adapter) => encoder.adapter("wasi_snapshot_preview1", adapter).context("the adapter does not fit")?,
        None => encoder,
    };
    let encoded = encoder.module(module).and_then(|mut encoder| encoder.encode());
    encoded.context("what the compiler wrote does not make a component")
}

/// Looks that the component is what the folder says, and answers the interfaces that it imports.
fn check(component: &[u8], kind: Kind) -> anyhow::Result<Vec<String>> {
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
