//! What waits to be delivered, and the workers that deliver it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

use super::waiting::{Full, MOST_BYTES, MOST_MESSAGES, Waiting};
use super::{Retry, Sink, SinkStats, clean, worker};
use crate::message::Message;

/// How many subjects of lost messages are logged one by one when the program ends.
const NAMED: usize = 20;

/// Messages on their way to sinks.
///
/// In memory: what waits is lost when the program is killed. At most 10,000 messages or 64 MiB wait for one sink; what
/// does not fit is refused, counted and logged as an error.
#[derive(Debug)]
pub struct Outbox {
    sinks: BTreeMap<String, Arc<Waiting>>,
    workers: Mutex<JoinSet<()>>,
}

/// What could not be delivered before the end: messages per sink, only those sinks that have some.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undelivered {
    /// Name of the sink, number of messages.
    pub sinks: BTreeMap<String, usize>,
}

impl Undelivered {
    /// How many messages in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.sinks.values().sum()
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sinks.is_empty() {
            return f.write_str("everything was delivered");
        }
        let each: Vec<_> = self.sinks.iter().map(|(sink, count)| format!("{count} for `{sink}`")).collect();
        write!(f, "not delivered: {}", each.join(", "))
    }
}

impl Outbox {
    /// Starts one worker per sink. Must be called within a tokio runtime; dropping the outbox ends the workers at once.
    #[must_use]
    pub fn start(sinks: Vec<(String, Sink)>) -> Self {
        Self::start_with(sinks, Retry::default())
    }

    /// The same with other times to try again.
    #[must_use]
    pub fn start_with(sinks: Vec<(String, Sink)>, retry: Retry) -> Self {
        let mut workers = JoinSet::new();
        let mut waiting = BTreeMap::new();
        for (name, sink) in sinks {
            let queue = Arc::new(Waiting::new(&name));
            workers.spawn(worker::run(Arc::clone(&queue), sink, retry));
            waiting.insert(name, queue);
        }
        Self { sinks: waiting, workers: Mutex::new(workers) }
    }

    /// Gives a message to a sink's worker. Never waits.
    pub fn send(&self, sink: &str, message: Arc<Message>) {
        let (id, route) = (message.id, Arc::clone(&message.route));
        let subject = clean::line(&message.notification.subject, 200);
        let Some(waiting) = self.sinks.get(sink) else {
            error!(sink, message = %id, %route, subject, error = "there is no such sink", "A message is lost.");
            return;
        };
        let error = match waiting.push(message) {
            Ok(()) => return,
            Err(Full::Messages) => format!("{MOST_MESSAGES} messages wait already"),
            Err(Full::Bytes) => format!("{} MiB of messages wait already", MOST_BYTES >> 20),
            Err(Full::Closed) => "the program is ending".to_owned(),
            // Said once, when the sink went away.
            Err(Full::Gone) => return waiting.stats.send_modify(|stats| stats.refused += 1),
        };
        waiting.stats.send_modify(|stats| stats.refused += 1);
        error!(sink, message = %id, %route, subject, error, "A message is lost.");
    }

    /// What becomes of a sink's messages, as it changes; `None` for an unknown sink.
    #[must_use]
    pub fn stats(&self, sink: &str) -> Option<watch::Receiver<SinkStats>> {
        self.sinks.get(sink).map(|waiting| waiting.stats.subscribe())
    }

    /// Waits until every sink is closed for good, as when the terminal that was the only one is gone (`dockbell | head`).
    /// With no sink, or one that stays, it waits for ever.
    pub async fn all_gone(&self) {
        if self.sinks.is_empty() {
            std::future::pending::<()>().await;
        }
        for waiting in self.sinks.values() {
            // The sender lives in `self.sinks`, so this cannot end with an error.
            let _ = waiting.stats.subscribe().wait_for(|stats| stats.gone).await;
        }
    }

    /// Waits until nothing waits for any sink.
    pub async fn all_told(&self) {
        for waiting in self.sinks.values() {
            let _ = waiting.stats.subscribe().wait_for(|stats| stats.waiting == 0).await;
        }
    }

    /// Takes no more messages, delivers what is there within `grace`, and ends the workers. What is left then is counted
    /// and logged as lost; a message that was being tried at that moment is among it, though it may have arrived.
    pub async fn close(&self, grace: Duration) -> Undelivered {
        for waiting in self.sinks.values() {
            waiting.close();
        }
        let mut workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            workers.shutdown().await;
        }
        let mut undelivered = Undelivered::default();
        for (sink, waiting) in &self.sinks {
            let left = waiting.drain();
            let why = waiting.stats.borrow().down.clone();
            let why = why.as_deref().unwrap_or("no time was left");
            for message in left.iter().take(NAMED) {
                let subject = clean::line(&message.notification.subject, 200);
                error!(sink, message = %message.id, route = %message.route, subject, error = why, "A message is lost.");
            }
            if left.len() > NAMED {
                error!(sink, messages = left.len() - NAMED, error = why, "Further messages are lost.");
            }
            if !left.is_empty() {
                undelivered.sinks.insert(sink.clone(), left.len());
            }
        }
        undelivered
    }
}
