//! The languages that a plugin can be written in: one file for each, with its template and its recipe.
//!
//! A plugin's folder holds the author's files, and the folder `dockbell`, which is renewed by each build and so always fits the
//! dockbell that builds: the interface (`wit`), the bindings made of it, and a thin library of what every plugin needs.

mod c;
mod go;
mod javascript;
mod python;
mod rust;
mod typescript;
mod zig;

use clap::ValueEnum;
use serde::Deserialize;

use super::project::{Kind, Made, Marker, Project};

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    /// Rust
    Rust,
    /// Python
    Python,
    /// JavaScript
    Js,
    /// TypeScript
    Ts,
    /// C
    C,
    /// Go
    Go,
    /// Zig
    Zig,
}

/// How a plugin is made in one language.
pub(super) struct Recipe {
    /// Name for people.
    name: &'static str,
    /// The author's files of a new filter.
    filter: Files,
    /// The author's files of a new formatter.
    formatter: Files,
    /// What stands in the folder `dockbell` beside the interface; paths are below it.
    library: fn(Kind) -> anyhow::Result<Vec<Made>>,
    /// Runs the compiler, and answers a component, or a core module that carries its interface.
    build: fn(&Project) -> anyhow::Result<Vec<u8>>,
}

/// Files that are part of the program: path and content.
pub(super) type Files = &'static [(&'static str, &'static [u8])];

/// `files!("FOLDER": "FILE", ...; "FOLDER": "FILE", ...)`: files below each `host/FOLDER`.
macro_rules! files {
    ($($folder:literal: $($path:literal),* $(,)?);* $(;)?) => {
        &[$($(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $path)))),*),*]
    };
}
use files;

/// The plugin interface.
pub(super) const WIT: Files = files!(
    "../wit/v0.1": "filter.wit", "formatter.wit", "logging.wit", "packed-filter.wit", "setup.wit", "state.wit", "types.wit", "worlds.wit"
);
/// Recorded events, for every plugin.
const EVENTS: Files = files!("templates/any": "events.jsonl");
/// What git need not keep of any plugin.
const IGNORED: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/any/gitignore"));
/// A configuration with which they are replayed through the plugin.
const FILTER: Files = files!("templates/filter": "dockbell.toml");
const FORMATTER: Files = files!("templates/formatter": "dockbell.toml");

impl Language {
    fn recipe(self) -> &'static Recipe {
        match self {
            Self::Rust => &rust::RECIPE,
            Self::Python => &python::RECIPE,
            Self::Js => &javascript::RECIPE,
            Self::Ts => &typescript::RECIPE,
            Self::C => &c::RECIPE,
            Self::Go => &go::RECIPE,
            Self::Zig => &zig::RECIPE,
        }
    }

    /// The word that `--lang` and `dockbell-plugin.toml` take.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::Ts => "ts",
            Self::C => "c",
            Self::Go => "go",
            Self::Zig => "zig",
        }
    }

    /// The name for people.
    pub(super) fn full_name(self) -> &'static str {
        self.recipe().name
    }
}

/// The author's files of a new plugin.
pub(super) fn template(marker: &Marker) -> impl Iterator<Item = (&'static str, &'static [u8])> + use<> {
    let recipe = marker.language.recipe();
    let (common, own) = match marker.kind {
        Kind::Filter => (FILTER, recipe.filter),
        Kind::Formatter => (FORMATTER, recipe.formatter),
    };
    EVENTS.iter().chain(common).chain(own).copied().chain([(".gitignore", IGNORED)])
}

/// What the folder `dockbell` of a plugin holds.
pub(super) fn renewed(marker: &Marker) -> anyhow::Result<Vec<Made>> {
    let wit = WIT.iter().map(|(path, content)| Made::new(format!("dockbell/wit/v0.1/{path}"), *content));
    let library = (marker.language.recipe().library)(marker.kind)?.into_iter();
    let library = library.map(|file| Made { path: std::path::Path::new("dockbell").join(file.path), ..file });
    Ok(wit.chain(library).collect())
}

/// Runs the compiler.
pub(super) fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    (project.marker.language.recipe().build)(project)
}

/// A library of fixed files.
fn fixed(files: Files) -> Vec<Made> {
    files.iter().map(|(path, content)| Made::new(*path, *content)).collect()
}
