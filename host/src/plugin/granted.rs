//! What a plugin is granted, made ready for its instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::error::{CallError, outside};
use crate::config::grants::Dir;
use crate::config::{Grants, Server};

/// The time to open all folders of an instance. A local one takes microseconds, one of a network file system that is mounted on
/// demand may take seconds.
const OPENING: Duration = Duration::from_secs(5);

/// Variables with their values, folders, how large the state may be, and web servers.
pub(super) struct Granted {
    plugin: String,
    env: Vec<(String, String)>,
    dirs: Arc<[Dir]>,
    opening: Opening,
    /// In bytes.
    pub(super) state: usize,
    pub(super) servers: Arc<[Server]>,
}

impl Granted {
    /// The grants of a plugin; looks up its variables in the environment of this process.
    pub(super) fn of(plugin: &str, grants: &Grants) -> Self {
        let env = grants.env.iter().filter_map(|variable| match std::env::var(variable.name()) {
            Ok(value) => Some((variable.name().to_owned(), value)),
            Err(error) => {
                tracing::warn!(plugin, "the variable `{variable}` is granted, but not there for the plugin: {error}");
                None
            }
        });
        Self {
            plugin: plugin.to_owned(),
            env: env.collect(),
            dirs: grants.dirs.clone().into(),
            opening: Opening::new(),
            state: grants.state.map_or(0, crate::config::grants::StateSize::bytes),
            servers: grants.http.iter().flatten().cloned().collect(),
        }
    }

    /// Hands all of it to an instance. The folders are opened in a thread of their own: on a network file system that hangs, that
    /// may take for ever.
    ///
    /// # Errors
    /// Fails if a folder is not there any more, or is not open within [`OPENING`].
    pub(super) async fn give(&self, mut wasi: WasiCtxBuilder) -> Result<WasiCtxBuilder, CallError> {
        wasi.envs(&self.env);
        if self.dirs.is_empty() {
            return Ok(wasi);
        }
        let dirs = Arc::clone(&self.dirs);
        let opened = self.opening.run(OPENING, move |at| {
            for (number, Dir { host, guest, write }) in dirs.iter().enumerate() {
                at.store(number, Ordering::Relaxed);
                let allowed = if *write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
                wasi.preopened_dir(host, guest, allowed).map_err(|error| {
                    CallError::GrantGone(outside(format_args!("the folder `{}`: {error:#}", host.display())))
                })?;
            }
            Ok(wasi)
        });
        opened.await.unwrap_or_else(|at| {
            let folder = self.dirs.get(at).map(|dir| dir.host.display().to_string()).unwrap_or_default();
            Err(CallError::FolderHangs { plugin: self.plugin.clone(), folder: outside(folder), limit: OPENING })
        })
    }
}

/// Opens folders, at most one thread per plugin: one that hangs stays for as long as its file system does.
#[derive(Debug)]
struct Opening {
    thread: Arc<Semaphore>,
    /// The number of the folder that is opened now.
    at: Arc<AtomicUsize>,
}

impl Opening {
    fn new() -> Self {
        Self { thread: Arc::new(Semaphore::new(1)), at: Arc::default() }
    }

    /// Does the work of opening; it says which folder it is at.
    ///
    /// # Errors
    /// Fails with the number of a folder if that does not end in time, or if an earlier one did not and still has the thread.
    async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&AtomicUsize) -> T + Send + 'static,
    ) -> Result<T, usize> {
        let opening = async {
            // Nobody closes the semaphore.
            let thread = Arc::clone(&self.thread).acquire_owned().await;
            let at = Arc::clone(&self.at);
            let opened = spawn_blocking(move || {
                let _thread = thread;
                work(&at)
            });
            opened.await
        };
        match timeout(limit, opening).await {
            Ok(Ok(opened)) => Ok(opened),
            _ => Err(self.at.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_hangs_blocks_one_thread_and_nobody_else() {
        let opening = Opening::new();
        let limit = Duration::from_millis(50);
        let (mend, hangs) = mpsc::channel::<()>();
        // There is one worker: if the work ran on it, nothing would go on.
        let stuck = opening.run(limit, move |at| {
            at.store(2, Ordering::Relaxed);
            let _ = hangs.recv();
        });
        let goes_on = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            1
        };
        assert_eq!(tokio::join!(stuck, goes_on), (Err(2), 1));
        // While it hangs, no further thread is taken.
        let (begin, begun) = mpsc::channel::<()>();
        assert_eq!(opening.run(limit, move |_| begin.send(())).await, Err(2));
        assert!(begun.recv().is_err(), "it was not begun");
        drop(mend);
        assert_eq!(opening.run(Duration::from_secs(60), |_| 7).await, Ok(7));
    }
}
