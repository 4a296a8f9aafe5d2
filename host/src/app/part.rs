//! A part of the program that can be ended while the others go on.

use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A task among others.
#[derive(Debug)]
pub(super) struct Part {
    task: AbortHandle,
    ended: CancellationToken,
}

impl Part {
    /// Begins work; what it comes to is found in `all`.
    pub(super) fn begin<T: Send + 'static>(
        all: &mut JoinSet<T>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let task = all.spawn(async move {
            // Dropped with the work, however that ends.
            let _guard = guard;
            work.await
        });
        Self { task, ended }
    }

    /// Waits until it has ended by itself, and stops it where it is when that takes longer; nothing of it runs any more then.
    /// Says whether it has ended by itself.
    pub(super) async fn end_within(self, patience: Duration) -> bool {
        let by_itself = timeout(patience, self.ended.cancelled()).await.is_ok();
        if !by_itself {
            self.task.abort();
            self.ended.cancelled().await;
        }
        by_itself
    }
}
