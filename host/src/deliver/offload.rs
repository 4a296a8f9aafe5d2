//! Work on text from outside, away from the threads that run everything else.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Threads for work whose length somebody else decides.
///
/// A runtime's worker that computes runs nothing else meanwhile, and neither a timeout nor a signal reaches it. Here at most as
/// many pieces of work are under way as the machine has processors; others wait in the order they came.
#[derive(Debug)]
pub(super) struct Offload {
    threads: Arc<Semaphore>,
    limit: Duration,
}

/// Why work has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// It took longer than allowed. It goes on, and its thread is not free until it ends.
    Late(Duration),
    /// It ended in a panic, or with the runtime.
    Broken,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(limit) => write!(f, "it took longer than {} s", limit.as_secs_f64()),
            Self::Broken => f.write_str("it failed in dockbell itself; please report this"),
        }
    }
}

impl Offload {
    /// Allows each piece of work so much time.
    pub(super) fn new(limit: Duration) -> Self {
        let threads = available_parallelism().map_or(1, NonZero::get);
        Self { threads: Arc::new(Semaphore::new(threads)), limit }
    }

    /// Does some work, and waits for its result.
    ///
    /// # Errors
    /// Fails if it takes too long or panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unfinished> {
        // Nobody closes the semaphore.
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let working = spawn_blocking(move || {
            let _thread = thread;
            work()
        });
        match timeout(self.limit, working).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(Unfinished::Broken),
            Err(_) => Err(Unfinished::Late(self.limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn others_go_on_meanwhile() {
        let (finish, finished) = mpsc::channel::<()>();
        // There is one thread here: if the work ran on it, nobody could let it end.
        let helper = tokio::spawn(async move { finish.send(()) });
        assert_eq!(Offload::new(Duration::from_secs(60)).run(move || finished.recv()).await, Ok(Ok(())));
        helper.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn work_without_end_is_left_alone_and_keeps_its_thread() {
        let offload = Offload::new(Duration::from_millis(20));
        let threads = offload.threads.available_permits();
        let (finish, finished) = mpsc::channel::<()>();
        assert_eq!(offload.run(move || finished.recv()).await, Err(Unfinished::Late(offload.limit)));
        assert_eq!(offload.threads.available_permits(), threads - 1);
        drop(finish);
        let all = u32::try_from(threads).unwrap();
        assert!(offload.threads.acquire_many(all).await.is_ok(), "the thread is free again");
    }

    #[tokio::test]
    async fn a_panic_stays_there() {
        let offload = Offload::new(Duration::from_secs(60));
        let fault = || std::panic::resume_unwind(Box::new("a fault"));
        assert_eq!(offload.run::<()>(fault).await, Err(Unfinished::Broken));
        assert_eq!(offload.run(|| 1).await, Ok(1));
    }
}
