//! A plugin's folder, and the file that makes it one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use serde::Deserialize;

use super::language::Language;
use crate::files;

/// The file that says what a folder is.
pub(super) const MARKER: &str = "dockbell-plugin.toml";
/// Its largest size: 64 KiB, for three short lines.
const LARGEST_MARKER: u64 = 64 << 10;

/// What `dockbell plugin build` reads of `dockbell-plugin.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    /// The plugin's name; the component is called `NAME.wasm`.
    pub(super) name: PluginName,
    /// What it is written in.
    pub(super) language: Language,
    /// What it does in a route.
    pub(super) kind: Kind,
}

/// A plugin's name: lower-case letters, digits and `-`, a letter first, at most 64. Every language takes it as a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PluginName(String);

/// What a plugin does in a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Decides which events are told
    Filter,
    /// Makes messages of events
    Formatter,
}

/// A plugin's folder.
#[derive(Debug)]
pub(super) struct Project {
    /// Where it is.
    pub(super) folder: PathBuf,
    /// What it says about itself.
    pub(super) marker: Marker,
}

/// A file to be written into a plugin's folder.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// Below the folder.
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
}

impl Project {
    /// Reads the marker of a folder.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MARKER);
        let text = files::read_text(&path, LARGEST_MARKER).with_context(|| {
            let name = folder.display();
            format!("`{name}` is not the folder of a plugin: cannot read `{}`\nhint: `dockbell plugin new NAME --lang LANGUAGE --kind filter` begins one; `{MARKER}` needs `name`, `language` and `kind`", path.display())
        })?;
        let marker = toml::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        // Tools are run in it, and are told paths: both must mean the same.
        let folder = folder.canonicalize().with_context(|| format!("cannot find `{}`", folder.display()))?;
        Ok(Self { folder, marker })
    }

    /// Writes files, each only where it is not yet as it should be, so that compilers see no change where there is none.
    pub(super) fn write(&self, files: &[Made]) -> anyhow::Result<()> {
        files.iter().try_for_each(|file| file.write(&self.folder))
    }

    /// The folder for what compilers leave, which is made.
    pub(super) fn work(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("target");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        Ok(folder)
    }
}

impl Made {
    pub(super) fn new(path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: content.into() }
    }

    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(&self.path);
        if fs::read(&path).is_ok_and(|old| old == self.content) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make `{}`", parent.display()))?;
        }
        fs::write(&path, &self.content).with_context(|| format!("cannot write `{}`", path.display()))
    }
}

impl Kind {
    /// The word for it, and the interface's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Formatter => "formatter",
        }
    }

    /// The world of `wit/v0.1` that such a plugin is built for.
    pub(super) const fn world(self) -> &'static str {
        match self {
            Self::Filter => "packed-filter-plugin",
            Self::Formatter => "formatter-plugin",
        }
    }
}

impl PluginName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PluginName {
    type Error = anyhow::Error;

    fn try_from(name: String) -> anyhow::Result<Self> {
        let is_name = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
        ensure!(
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.chars().all(is_name)
                && !name.ends_with('-')
                && name.len() <= 64,
            "`{name}` cannot be a plugin's name\nhint: lower-case letters, digits and `-`, a letter first, such as `at-night`"
        );
        // Compilers would take these for their own: `dockbell` is the folder of what dockbell writes.
        if ["dockbell", "test", "core", "std", "main"].contains(&name.as_str()) {
            bail!("`{name}` cannot be a plugin's name: it has a meaning already\nhint: `my-{name}`, say");
        }
        Ok(Self(name))
    }
}

impl std::str::FromStr for PluginName {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        name.to_owned().try_into()
    }
}
