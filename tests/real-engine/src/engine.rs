//! The container engine that tests and recordings use: one that answers, else one that we start and stop.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};

use crate::client::Docker;
use crate::daemon::{Dockerd, answers, unmount_below};

/// Where the engines of earlier runs left their folders when they could not delete them.
const PREFIX: &str = "dockbell-engine-";

/// An engine that answers; dropping it stops it if it is ours.
pub struct Engine {
    socket: PathBuf,
    own: Option<Own>,
}

impl Engine {
    /// The engine of `DOCKER_HOST` or the default socket; if none answers, one of our own.
    ///
    /// # Errors
    /// When `DOCKER_HOST` is no unix socket, or no engine can be started.
    pub fn find_or_start() -> Result<Self> {
        let socket = match env::var("DOCKER_HOST") {
            Ok(host) if !host.is_empty() => match host.strip_prefix("unix://") {
                Some(path) => PathBuf::from(path),
                None => bail!("only engines on a unix socket can be tested with, not `DOCKER_HOST={host}`"),
            },
            _ => PathBuf::from("/var/run/docker.sock"),
        };
        if answers(&socket) {
            return Ok(Self { socket, own: None });
        }
        Self::start()
    }

    /// An engine of our own, in a new folder.
    ///
    /// # Errors
    /// When it does not start; with the last lines of its log.
    pub fn start() -> Result<Self> {
        delete_leftovers();
        let folder = env::temp_dir().join(format!("{PREFIX}{}", process::id()));
        let daemon = Dockerd::start(&folder).context("cannot start a Docker engine")?;
        Ok(Self { socket: daemon.socket(), own: Some(Own { daemon: Some(daemon), folder }) })
    }

    /// Its client.
    #[must_use]
    pub fn docker(&self) -> Docker {
        Docker::at(&self.socket)
    }

    /// Whether we started it.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

/// An engine that we started, and its folder.
struct Own {
    daemon: Option<Dockerd>,
    folder: PathBuf,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.daemon = None;
        delete(&self.folder);
    }
}

/// Deletes the folders of runs that were killed: their engines ended with them.
fn delete_leftovers() {
    let Ok(entries) = fs::read_dir(env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|id| id.parse::<u32>().ok());
        if owner.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            unmount_below(&entry.path());
            delete(&entry.path());
        }
    }
}

fn delete(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("cannot delete the engine's folder `{}`: {error}", folder.display());
    }
}
