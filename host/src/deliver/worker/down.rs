//! A sink that takes nothing: one message probes it now and then, and the others wait.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Failure, Trouble, Worker};

/// A sink that takes nothing.
pub(super) struct Down {
    pub(super) since: Instant,
    /// When it is tried again.
    pub(super) until: Instant,
    pub(super) failures: u32,
    /// Whether it was told.
    pub(super) told: bool,
}

impl Worker {
    pub(super) fn go_down(&mut self, failure: &Failure) {
        let sink = &self.lane.sink;
        let now = Instant::now();
        let mut down = self.down.take().unwrap_or(Down { since: now, until: now, failures: 0, told: false });
        down.failures = down.failures.saturating_add(1);
        if failure.lasting {
            warn!(%sink, error = failure.error, hint = failure.hint, "The sink is closed; nothing more is sent to it.");
        } else {
            let wait = self.wait(self.retry.sink.after(down.failures), failure);
            warn!(
                %sink, retry_in = ?wait, failures = down.failures, error = failure.error, hint = failure.hint,
                "The sink takes nothing; its messages wait."
            );
            down.until = now + wait;
        }
        if !down.told && (failure.lasting || down.since.elapsed() >= self.retry.patience) {
            down.told = true;
            self.alarm.tell(Trouble::SinkFailed { sink: Arc::clone(sink), error: failure.error.clone() });
        }
        self.lane.stats.send_modify(|stats| {
            stats.down = Some(Arc::from(failure.error.as_str()));
            stats.gone = failure.lasting;
        });
        self.down = Some(down);
    }

    pub(super) fn come_back(&mut self) {
        if let Some(down) = self.down.take() {
            info!(sink = %self.lane.sink, failures = down.failures, "The sink takes messages again.");
            self.lane.stats.send_modify(|stats| stats.down = None);
        }
    }
}
