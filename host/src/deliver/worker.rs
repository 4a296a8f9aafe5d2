//! Delivers what waits for one sink.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

use super::waiting::{Entry, Next, Waiting};
use super::{Attempt, Failure, Fault, Retry, Sealed, Sink, clean};
use crate::message::Message;

/// How long a sink keeps what it holds open, such as a connection, while nothing comes.
const WARM: Duration = Duration::from_secs(5);

/// A sink that takes nothing: when to probe it again, and how often it failed in a row.
struct Down {
    until: Instant,
    failures: u32,
}

/// Delivers what waits until the end is asked for and nothing is left, or the sink is gone for good.
pub(super) async fn run(waiting: Arc<Waiting>, sink: Sink, retry: Retry) {
    let mut worker = Worker { waiting, sink, retry, down: None, hurried: false };
    // A mistake in a library must not silence a sink for ever: it costs the message that brought it about.
    while AssertUnwindSafe(worker.work()).catch_unwind().await.is_err() {
        if let Some(message) = worker.waiting.lost() {
            worker.refuse(&message, 1, "delivering it failed in dockbell itself; please report this");
        }
    }
    worker.sink.rest().await;
}

struct Worker {
    waiting: Arc<Waiting>,
    sink: Sink,
    retry: Retry,
    down: Option<Down>,
    hurried: bool,
}

impl Worker {
    async fn work(&mut self) {
        let mut warm = false;
        while !self.waiting.stats.borrow().gone {
            if !self.hurried && self.waiting.closing() {
                self.hurried = true;
                self.down = None;
            }
            match self.waiting.next(Instant::now(), self.down.as_ref().map(|down| down.until)) {
                Next::Try(entry) => {
                    self.try_one(*entry).await;
                    warm = true;
                }
                Next::Until(time) => {
                    tokio::select! { () = sleep_until(time) => {}, () = self.waiting.woken() => {} }
                }
                Next::Rest if warm => {
                    tokio::select! {
                        () = sleep(WARM) => { self.sink.rest().await; warm = false; }
                        () = self.waiting.woken() => {}
                    }
                }
                Next::Rest => self.waiting.woken().await,
                Next::Done => return,
            }
        }
    }

    async fn try_one(&mut self, mut entry: Entry) {
        let sealed = match entry.sealed.take() {
            Some(sealed) => sealed,
            None => match self.sink.seal(&entry.message) {
                Ok(sealed) => {
                    let plainer = sealed.plainer.as_ref().map_or(0, Bytes::len);
                    self.waiting.weigh(&mut entry, sealed.bytes.len() + plainer);
                    sealed
                }
                Err(error) => {
                    self.refuse(&entry.message, 1, &error.to_string());
                    return self.waiting.finish(&entry);
                }
            },
        };
        let attempt = self.sink.deliver(&sealed).await;
        self.settle(entry, sealed, attempt);
    }

    /// Draws the consequences of an attempt.
    fn settle(&mut self, mut entry: Entry, mut sealed: Sealed, attempt: Attempt) {
        self.count(&attempt);
        sealed.pending.clear();
        let (mut down, mut later, mut simpler) = (None, None, false);
        for (recipient, failure) in attempt.failed {
            match failure.fault {
                Fault::Sink => down = Some(failure),
                Fault::Message if failure.lasting && sealed.plainer.is_some() => simpler = true,
                _ if failure.lasting => {
                    self.refuse(&entry.message, 1, &failure.error);
                    continue;
                }
                _ => later = Some(failure),
            }
            sealed.pending.push(recipient);
        }
        match down {
            Some(failure) => self.go_down(&failure),
            None => self.come_back(),
        }
        entry.due = later.map(|failure| self.put_off(&mut entry, &failure));
        if simpler && let Some(plainer) = sealed.plainer.take() {
            warn!(sink = %self.waiting.sink, message = %entry.message.id, "The content was refused; its text alone is tried.");
            sealed.bytes = plainer;
        }
        self.keep_or_finish(entry, sealed);
    }

    fn keep_or_finish(&self, mut entry: Entry, sealed: Sealed) {
        if sealed.pending.is_empty() {
            self.waiting.finish(&entry);
        } else if entry.since.elapsed() >= self.retry.give_up {
            let why = format!("given up after {:?}: {}", self.retry.give_up, sealed.pending.join(", "));
            self.refuse(&entry.message, sealed.pending.len() as u64, &why);
            self.waiting.finish(&entry);
        } else {
            self.waiting.stats.send_modify(|stats| stats.retried += 1);
            entry.sealed = Some(sealed);
            self.waiting.put_back(entry);
        }
        if self.waiting.stats.borrow().gone {
            let left = self.waiting.drain().len() as u64;
            self.waiting.stats.send_modify(|stats| stats.refused += left);
        }
    }

    /// When a message that failed through its own or a recipient's fault is due again.
    fn put_off(&self, entry: &mut Entry, failure: &Failure) -> Instant {
        entry.failures += 1;
        let wait = self.retry.delay(entry.failures);
        warn!(
            sink = %self.waiting.sink, message = %entry.message.id, retry_in = ?wait, error = failure.error,
            hint = failure.hint, "A message is tried again later."
        );
        Instant::now() + wait
    }

    fn go_down(&mut self, failure: &Failure) {
        let sink = &self.waiting.sink;
        if failure.lasting {
            warn!(%sink, error = failure.error, hint = failure.hint, "The sink is closed; nothing more is written to it.");
        } else {
            let failures = self.down.as_ref().map_or(0, |down| down.failures) + 1;
            let wait = self.retry.delay(failures);
            warn!(
                %sink, retry_in = ?wait, failures, error = failure.error, hint = failure.hint,
                "The sink takes nothing; its messages wait."
            );
            self.down = Some(Down { until: Instant::now() + wait, failures });
        }
        self.waiting.stats.send_modify(|stats| {
            stats.down = Some(Arc::from(failure.error.as_str()));
            stats.gone = failure.lasting;
        });
    }

    fn come_back(&mut self) {
        if let Some(down) = self.down.take() {
            info!(sink = %self.waiting.sink, failures = down.failures, "The sink takes messages again.");
            self.waiting.stats.send_modify(|stats| stats.down = None);
        }
    }

    fn count(&self, attempt: &Attempt) {
        self.waiting.stats.send_modify(|stats| {
            stats.delivered += attempt.accepted.len() as u64;
            stats.ambiguous += u64::from(attempt.failed.iter().any(|(_, failure)| failure.ambiguous));
        });
    }

    fn refuse(&self, message: &Message, recipients: u64, error: &str) {
        error!(
            sink = %self.waiting.sink, message = %message.id, route = %message.route,
            subject = clean::line(&message.notification.subject, 200), error, "A message is lost."
        );
        self.waiting.stats.send_modify(|stats| stats.refused += recipients);
    }
}
