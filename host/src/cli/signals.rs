//! SIGTERM, SIGINT and SIGHUP.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long after its grace time a program that does not come to an end is ended: longer than any orderly stop takes.
const OVERTIME: Duration = Duration::from_secs(10);

/// A stop that SIGTERM or SIGINT asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    /// Cancelled by the first signal.
    pub token: CancellationToken,
    /// The grace time in milliseconds.
    grace: Arc<AtomicU64>,
    /// Whether what is not delivered is sent after the next start.
    kept: Arc<AtomicBool>,
}

impl Stop {
    /// Listens from now on, on a thread of its own: a signal is heard whatever the other threads do. The second one ends the
    /// program at once, with the exit code that a shell expects of it; so does, with an error, the end of the grace time and 10 s
    /// more.
    ///
    /// # Errors
    /// Fails if the system does not let signals be caught, or there can be no thread.
    pub(super) fn listen() -> io::Result<Self> {
        let stop = Self::default();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            let _context = runtime.enter();
            Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? }
        };
        let heard = stop.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                let (name, _) = signals.next().await;
                tracing::info!("{name}: telling what is open, then ending");
                heard.token.cancel();
                let limit = Duration::from_millis(heard.grace.load(Ordering::Relaxed)) + OVERTIME;
                tokio::select! {
                    (name, code) = signals.next() => {
                        if heard.kept.load(Ordering::Relaxed) {
                            tracing::warn!("{name} again: ending at once, what is not delivered yet is sent after the next start");
                        } else {
                            tracing::error!("{name} again: ending at once, what is not delivered yet is lost");
                        }
                        exit(code);
                    }
                    () = sleep(limit) => {
                        let seconds = limit.as_secs();
                        tracing::error!("dockbell did not come to an end within {seconds} s: ending at once, what is not stored is lost");
                        exit(1);
                    }
                }
            });
        })?;
        Ok(stop)
    }

    /// Lets a stop take as long as this grace time; the longest one counts.
    pub(super) fn allow(&self, grace: Duration) {
        self.grace.fetch_max(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Records that messages are kept for the next start, so that a second signal does not call them lost.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Waits for a signal. Returns its name and the exit code that a shell expects of a program that it ended.
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 143),
            _ = self.interrupt.recv() => ("SIGINT", 130),
        }
    }
}

/// SIGHUP, which from now on does not end the program.
///
/// # Errors
/// Fails if the system does not let signals be caught.
pub(super) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
