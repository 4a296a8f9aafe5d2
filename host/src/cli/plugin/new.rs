//! `dockbell plugin new`.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;

use super::language::{self, Language};
use super::project::{Kind, MARKER, Made, Marker, PluginName, Project};

/// What a template calls the plugin; the name takes its place, with `_` where a language wants that.
const PLACEHOLDER: (&str, &str) = ("my-plugin", "my_plugin");

/// What `plugin new` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct NewArgs {
    /// The plugin's name: lower-case letters, digits and `-`
    #[arg(value_name = "NAME")]
    name: PluginName,
    /// What it will be written in
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    lang: Language,
    /// What it will do
    #[arg(long, value_enum, value_name = "KIND", default_value = "filter")]
    kind: Kind,
    /// Where to make the folder [default: NAME]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Makes the folder.
pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let folder = args.dir.clone().unwrap_or_else(|| args.name.as_str().into());
    let is_empty = fs::read_dir(&folder).map_or(true, |mut files| files.next().is_none());
    ensure!(
        is_empty && !folder.is_file(),
        "`{}` is there already, and not empty\nhint: choose another one with `--dir`",
        folder.display()
    );
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let marker = Marker { name: args.name.clone(), language: args.lang, kind: args.kind };
    let project = Project { folder, marker };
    project.write(&files(&project.marker)?)?;
    project.write(&language::renewed(&project.marker)?)?;
    let shown = project.folder.display();
    // Whoever closed our output does not want to know.
    let _ = writeln!(
        std::io::stdout(),
        "made `{shown}`, a {} in {}; go on with:\n\n  cd {shown}\n  dockbell plugin build\n  dockbell replay events.jsonl --config dockbell.toml\n\n`{shown}/README.md` says the rest.",
        args.kind.name(),
        args.lang.full_name()
    );
    Ok(ExitCode::SUCCESS)
}

/// The author's own files, as they are in the beginning.
fn files(marker: &Marker) -> anyhow::Result<Vec<Made>> {
    let mut files: Vec<Made> = language::template(marker).map(|(path, content)| named(path, content, marker)).collect();
    let Marker { name, language, kind } = marker;
    files.push(Made::new(
        MARKER,
        format!(
            "# What `dockbell plugin build` reads.\nname = \"{}\"\nlanguage = \"{}\"\nkind = \"{}\"\n",
            name.as_str(),
            language.name(),
            kind.name()
        ),
    ));
    Ok(files)
}

fn named(path: &str, content: &[u8], marker: &Marker) -> Made {
    let name = marker.name.as_str();
    match std::str::from_utf8(content) {
        Ok(text) => Made::new(path, text.replace(PLACEHOLDER.0, name).replace(PLACEHOLDER.1, &name.replace('-', "_"))),
        Err(_) => Made::new(path, content),
    }
}
