//! Another configuration without a restart: asked for by a signal, or because a file has changed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::watch;

use super::files::{self, Files, Stamps, stamp};
use super::live::Exchanged;
use super::own::Own;
use super::prepared::{Current, Prepared, Workshop};
use crate::config::{Config, RouteConfig};

/// How the configuration is read again.
pub struct Reload {
    /// The configuration file.
    pub file: PathBuf,
    /// Reads it.
    pub load: Arc<dyn Fn() -> anyhow::Result<Config> + Send + Sync>,
    /// The signal that asks for it. A changed file does so too, and a changed component.
    pub hangup: Signal,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("file", &self.file).finish_non_exhaustive()
    }
}

/// How often the configuration was read again since the program started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadStats {
    /// Times that it has replaced the one before.
    pub reloaded: u64,
    /// Times that it could not be used, and the one before went on.
    pub failed: u64,
    /// Why the last one could not be used; none when it could.
    pub error: Option<Arc<str>>,
}

/// Waits for configurations, and keeps account of what became of them.
pub(super) struct Reloads {
    how: Reload,
    files: Files,
    workshop: Arc<Workshop>,
    stats: watch::Sender<ReloadStats>,
}

impl Reloads {
    /// Watches the files of the configuration that runs.
    pub(super) fn new(
        how: Reload,
        running: &Config,
        workshop: Arc<Workshop>,
        stats: watch::Sender<ReloadStats>,
    ) -> Self {
        let files = Files::watch(stamps(&how.file, running, &Stamps::new()));
        Self { how, files, workshop, stats }
    }

    /// Waits until the configuration is to be read again, and does it. It is ready to run then; an error says why it is not.
    pub(super) async fn next(&mut self, running: &Arc<Current>) -> anyhow::Result<Prepared> {
        tokio::select! {
            // There is no end to signals.
            _ = self.how.hangup.recv() => tracing::info!("SIGHUP: reading the configuration again"),
            () = self.files.changed() => tracing::info!("a file has changed: reading the configuration again"),
        }
        let (load, file, running) = (Arc::clone(&self.how.load), self.how.file.clone(), Arc::clone(running));
        let before: Vec<PathBuf> = self.files.seen().keys().cloned().collect();
        let reading = move || {
            // Looked at before it is read: what changes meanwhile has changed.
            let before = files::stamps(before);
            let config = load();
            let stamps = stamps(&file, config.as_ref().unwrap_or(&running.config), &before);
            (config, stamps, running)
        };
        let (config, stamps, running) = tokio::task::spawn_blocking(reading).await?;
        self.files = Files::watch(stamps);
        Prepared::of(config?, Some(running), &self.workshop).await
    }

    /// The new configuration runs.
    pub(super) fn worked(&self, exchanged: &Exchanged, own: &Own) {
        self.stats
            .send_modify(|stats| *stats = ReloadStats { reloaded: stats.reloaded + 1, error: None, ..stats.clone() });
        let Exchanged { routes, routes_gone, engines, engines_gone } = exchanged;
        let lists = [
            ("engines", engines.join(", ")),
            ("engines-gone", engines_gone.join(", ")),
            ("routes", routes.join(", ")),
            ("routes-gone", routes_gone.join(", ")),
        ];
        let [engines, engines_gone, routes, routes_gone] = lists.each_ref().map(|(_, names)| names);
        tracing::info!(
            routes,
            routes_gone,
            engines,
            engines_gone,
            "the new configuration runs; all else goes on as it was"
        );
        let said: Vec<(&str, &str)> =
            lists.iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| (*what, names.as_str())).collect();
        own.say("reloaded", &said);
    }

    /// The new configuration cannot be used.
    pub(super) fn failed(&self, error: &anyhow::Error, own: &Own) {
        let whole = format!("{error:#}");
        let brief = whole.lines().next().unwrap_or_default();
        self.stats.send_modify(|stats| {
            stats.failed += 1;
            stats.error = Some(brief.into());
        });
        tracing::error!("the new configuration cannot be used, the one before goes on: {whole}");
        own.say("reload_failed", &[("error", brief)]);
    }
}

/// The files whose change asks for the configuration to be read again: its own, and the components. What is in `known` was
/// looked at before.
fn stamps(file: &std::path::Path, config: &Config, known: &Stamps) -> Stamps {
    let used = config.routes.values().flat_map(RouteConfig::plugins);
    let components = used.filter_map(|plugin| config.plugins.get(plugin)?.file());
    let stamped = |path: PathBuf| {
        let stamp = known.get(&path).copied().unwrap_or_else(|| stamp(&path));
        (path, stamp)
    };
    components.chain([file.to_owned()]).map(stamped).collect()
}
