//! What dockbell finds out itself about an event.

use serde::{Deserialize, Serialize};

use super::word::words;

words! {
    /// The name of something that dockbell found out itself.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Fact {
        /// Compose `project/service`, else the container's name. Never the id, so that a recreated container keeps it.
        Identity = "identity",
        /// Why a container died, or that a `restart` was requested; one of the words below.
        Cause = "cause",
        /// Exit code of a container that died.
        ExitCode = "exit-code",
        /// Number of the signal that was sent to the container.
        Signal = "signal",
        /// How long the container ran before it died, in whole seconds, such as `312s`.
        UpFor = "up-for",
        /// How often the container was started again in the last ten minutes.
        Restarts = "restarts",
        /// `true` while the container restarts again and again; else missing.
        Looping = "looping",
        /// How long the trouble lasted that a `start` or `healthy` ends, in whole seconds.
        RecoveredAfter = "recovered-after",
        /// `true` for an event that was sent again after a reconnect; else missing.
        Late = "late",
        /// `true` for an event that no engine sent: dockbell compared what it knew with what there is. Else missing.
        Inferred = "inferred",
    }
}

words! {
    /// A value of [`Fact::Cause`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Cause {
        /// On `die`: somebody stopped or restarted the container within the two minutes before.
        Stopped = "stopped",
        /// On `die`: somebody sent SIGKILL to the container, without a request to stop before.
        Killed = "killed",
        /// On `die`: the process ended by itself with exit code 0.
        Finished = "finished",
        /// On `die`: the process ended by itself with another exit code.
        Crashed = "crashed",
        /// On `die`: the kernel killed the process because the container's memory limit was reached.
        Oom = "oom",
        /// On `restart`, which ends a restart that somebody requested: its `die` cannot be told from that of a stop.
        Restarted = "restarted",
    }
}
