//! Kinds and actions that are known. Engines add words of their own: others are allowed everywhere.

use super::OWN_KIND;
use super::word::words;

words! {
    /// An action of dockbell's own events, whose kind is [`OWN_KIND`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum SystemAction {
        /// dockbell has started.
        Started = "started",
        /// dockbell ends because it was stopped.
        Stopped = "stopped",
        /// The configuration was reloaded.
        Reloaded = "reloaded",
        /// A new configuration cannot be used; the one before stays in force. Attribute `error`.
        ReloadFailed = "reload_failed",
        /// The connection to an engine is lost. Attribute `reason`.
        EngineLost = "engine_lost",
        /// An engine answers again.
        EngineBack = "engine_back",
        /// Events are missing or could not be read. Attributes `reason`, and `from` and `to` where they are known.
        Gap = "gap",
        /// A plugin fails. Attributes `plugin`, `route` and `error`.
        PluginFailed = "plugin_failed",
        /// A plugin that failed works again. Attributes `plugin` and `route`.
        PluginRecovered = "plugin_recovered",
        /// A sink accepts no messages; they are queued. Attributes `sink` and `error`.
        SinkFailed = "sink_failed",
        /// A message was given up. Attributes `sink`, `message`, `subject` and `error`.
        DeadLetter = "dead_letter",
    }
}

/// A kind of event and its actions.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The word.
    pub name: &'static str,
    /// Docker's actions (moby `api/types/events`, API 1.53).
    pub docker: &'static [&'static str],
    /// What Podman has beside them (`libpod/events`, 5.6), in the words in which dockbell passes them on.
    pub podman: &'static [&'static str],
}

/// The kinds of engines' events. Podman's words for the same as Docker's are translated: `died` is `die`.
#[rustfmt::skip]
pub const KINDS: [Kind; 13] = [
    Kind {
        name: "container",
        docker: &[
            "archive-path", "attach", "checkpoint", "commit", "copy", "create", "destroy", "detach", "die", "exec_create",
            "exec_detach", "exec_die", "exec_start", "export", "extract-to-dir", "health_status", "kill", "oom", "pause",
            "prune", "rename", "resize", "restart", "start", "stop", "top", "unpause", "update",
        ],
        podman: &["auto-update", "cleanup", "history", "import", "init", "mount", "restore", "sync", "unmount"],
    },
    Kind {
        name: "image",
        docker: &["create", "delete", "import", "load", "prune", "pull", "push", "save", "tag", "untag"],
        podman: &["build", "loadfromarchive", "mount", "pull-error", "unmount"],
    },
    Kind { name: "volume", docker: &["create", "destroy", "mount", "prune", "unmount"], podman: &[] },
    Kind {
        name: "network",
        docker: &["connect", "create", "destroy", "disconnect", "prune", "remove", "update"],
        podman: &[],
    },
    Kind { name: "daemon", docker: &["reload"], podman: &[] },
    Kind { name: "plugin", docker: &["create", "disable", "enable", "install", "pull", "push", "remove"], podman: &[] },
    Kind { name: "builder", docker: &["prune"], podman: &[] },
    Kind { name: "service", docker: &["create", "remove", "update"], podman: &[] },
    Kind { name: "node", docker: &["create", "remove", "update"], podman: &[] },
    Kind { name: "secret", docker: &["create", "remove", "update"], podman: &[] },
    Kind { name: "config", docker: &["create", "remove", "update"], podman: &[] },
    Kind { name: "pod", docker: &[], podman: &["create", "kill", "pause", "remove", "start", "stop", "unpause"] },
    Kind { name: "system", docker: &[], podman: &["prune", "refresh", "renumber"] },
];

/// The kinds whose actions are known, dockbell's own among them.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name).chain([OWN_KIND])
}

/// The known actions of a kind; none of a kind that is not known.
pub fn actions(kind: &str) -> impl Iterator<Item = &'static str> {
    let engines =
        KINDS.iter().filter(move |known| known.name == kind).flat_map(|kind| kind.docker.iter().chain(kind.podman));
    let own = SystemAction::ALL.iter().filter(move |_| kind == OWN_KIND).map(|action| action.name());
    engines.copied().chain(own)
}

/// The known states of health, which are the `detail` of `health_status`.
pub const HEALTH: [&str; 3] = ["healthy", "starting", "unhealthy"];
