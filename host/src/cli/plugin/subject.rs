//! Which plugin is meant, and how it is configured.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value};

use crate::config::{Config, Environment, PluginConfig};
use crate::files;
use crate::plugin::BUNDLED;

/// The largest file of `--config @FILE`: 4 MiB, as a whole configuration.
const LARGEST_TABLE: u64 = 4 << 20;

/// A plugin by name or file.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// A component, or the name of a bundled plugin or of one in the configuration file
    #[arg(value_name = "FILE|NAME")]
    plugin: String,
    /// Its configuration as JSON, or `@` and a file that holds it; else what the configuration file says
    #[arg(long, value_name = "JSON|@FILE")]
    config: Option<String>,
    /// A line of its table in the configuration: --set 'memory = "128MiB"'
    #[arg(long, value_name = "TOML")]
    set: Vec<String>,
    /// The configuration file that has the plugin's NAME [default: $DOCKBELL_CONFIG, /etc/dockbell/dockbell.toml]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// What messages call a plugin that has no name yet.
const NAMELESS: &str = "plugin";

impl Subject {
    /// The plugin's name and its table.
    ///
    /// # Errors
    /// There is no such plugin, or its configuration cannot be read.
    pub(super) fn resolve(&self) -> anyhow::Result<(String, PluginConfig)> {
        let (name, mut plugin) = self.table()?;
        if let Some(config) = &self.config {
            plugin.config = json(config)?;
        }
        Ok((name, plugin))
    }

    fn table(&self) -> anyhow::Result<(String, PluginConfig)> {
        let is_bundled = BUNDLED.iter().any(|bundled| bundled.name == self.plugin);
        let is_file = self.plugin.contains(['/', '.']);
        if self.from.is_none() && (is_bundled || is_file) {
            let name = if is_bundled { self.plugin.clone() } else { name_of(Path::new(&self.plugin)) };
            let plugin = self.set(&name, PluginConfig::new(&self.plugin))?;
            return Ok((name, plugin));
        }
        if !self.set.is_empty() {
            bail!("`--set` changes no plugin of a configuration file\nhint: change its table in the file");
        }
        let config = Config::load(self.from.as_deref(), &Environment::of_process())?;
        let Some(plugin) = config.plugins.get(&self.plugin) else {
            let names: Vec<String> = config.plugins.keys().map(|name| format!("`{name}`")).collect();
            bail!(
                "there is no plugin `{}`\nhint: there are {}; or name a file: `./{0}`",
                self.plugin,
                names.join(", ")
            );
        };
        Ok((self.plugin.clone(), plugin.clone()))
    }

    /// The table with the lines of `--set`, read as the configuration file is.
    fn set(&self, name: &str, plugin: PluginConfig) -> anyhow::Result<PluginConfig> {
        if self.set.is_empty() {
            return Ok(plugin);
        }
        // The component stands in the arguments and the rest in the table; any bundled one keeps its place meanwhile.
        let text = format!("[plugins.{name}]\ncomponent = \"match\"\n{}\n", self.set.join("\n"));
        let mut config = Config::parse(Path::new("--set"), &text, &Environment::default())?;
        let set = config.plugins.remove(name).unwrap_or_else(|| plugin.clone());
        Ok(PluginConfig { component: plugin.component, file: None, ..set })
    }
}

/// A name for a component: that of its file, where it is fit to be one.
fn name_of(file: &Path) -> String {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_name = (1..=64).contains(&stem.len()) && stem.chars().all(fits) && stem != "plain";
    if is_name { stem.to_owned() } else { NAMELESS.to_owned() }
}

/// A table as JSON, from the argument itself or from the file that it names.
fn json(text: &str) -> anyhow::Result<Map<String, Value>> {
    let read;
    let (place, text) = match text.strip_prefix('@') {
        Some(path) => {
            read = files::read_text(Path::new(path), LARGEST_TABLE)
                .with_context(|| format!("--config: cannot read `{path}`"))?;
            (format!("`{path}`"), &*read)
        }
        None => ("the text".to_owned(), text),
    };
    let hint = "hint: such as '{\"action\": \"die\"}', or `@` and the name of a file with that";
    match serde_json::from_str(text) {
        Ok(Value::Object(table)) => Ok(table),
        Ok(_) => bail!("--config: {place} is JSON, but no object\n{hint}"),
        Err(error) => bail!("--config: {place} is not JSON: {error}\n{hint}"),
    }
}
