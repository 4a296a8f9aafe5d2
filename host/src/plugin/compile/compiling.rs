//! The processes that compile, and their end when the program stops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long a stop waits until these processes have been ended: each is looked at every 50 ms.
const LIMIT: Duration = Duration::from_secs(2);

/// How many processes compile, and whether they are to end.
#[derive(Debug, Default)]
pub(crate) struct Compiling {
    stopping: AtomicBool,
    processes: watch::Sender<usize>,
}

/// A process that compiles, for as long as this lives.
pub(super) struct Process<'a>(&'a Compiling);

impl Compiling {
    /// Counts a process that is about to begin. Returns `None` if the program stops.
    pub(super) fn begin(&self) -> Option<Process<'_>> {
        self.processes.send_modify(|count| *count += 1);
        // Counted before this is asked: whoever stops either waits for it, or has it refused.
        let process = Process(self);
        (!self.is_stopping()).then_some(process)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends all processes and lets no other begin. Waits until they are gone, at most 2 s.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        let mut processes = self.processes.subscribe();
        // What takes longer is ended by the kernel with this program.
        let _ = timeout(LIMIT, processes.wait_for(|count| *count == 0)).await;
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        self.0.processes.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_those_that_run_and_refuses_the_next() {
        let compiling = Compiling::default();
        let process = compiling.begin().unwrap();
        assert!(timeout(LIMIT / 2, compiling.stop()).await.is_err(), "it waits");
        assert!(compiling.begin().is_none());
        drop(process);
        timeout(LIMIT / 2, compiling.stop()).await.unwrap();
    }
}
