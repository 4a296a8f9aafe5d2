//! `dockbell plugin build`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::component;
use super::language;
use super::project::{Made, Project};

/// How a core module begins (WebAssembly core specification 5.5).
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// What `plugin build` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct BuildArgs {
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
    let (name, kind) = (project.marker.name.as_str(), project.marker.kind);
    project.write(&language::renewed(&project.marker)?)?;
    let built = language::build(&project)?;
    let component = if built.starts_with(MODULE) { component::encode(&built)? } else { built };
    let imports = component::imports(&component, kind)?;
    let path = args.out.clone().unwrap_or_else(|| args.dir.join(name).with_extension("wasm"));
    let (bytes, imports) =
        (component.len(), if imports.is_empty() { "nothing".to_owned() } else { imports.join(", ") });
    Made::new(&path, component).write(Path::new(""))?;
    // Whoever closed our output does not want to know.
    let _ =
        writeln!(std::io::stdout(), "built `{}`: a {}, {bytes} bytes, imports {imports}", path.display(), kind.name(),);
    Ok(ExitCode::SUCCESS)
}
