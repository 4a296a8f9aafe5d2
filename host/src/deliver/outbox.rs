//! The workers that deliver what is in the store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::lane::Lane;
use super::{Alarm, Courier, Retry, SinkStats, worker};
use crate::config::Rate;
use crate::store::{Filter, MessageState, Store, StoreError};

/// How many lost messages are logged one by one when the program ends.
const NAMED: u32 = 20;

/// Messages on their way from the store to the sinks.
#[derive(Debug)]
pub struct Outbox {
    store: Store,
    retry: Retry,
    alarm: Alarm,
    lanes: watch::Sender<Lanes>,
    workers: Mutex<JoinSet<()>>,
    broken: watch::Sender<Option<StoreError>>,
}

type Lanes = BTreeMap<String, Arc<Lane>>;

/// What was not delivered before the end: messages per sink, only those sinks that have some.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undelivered {
    /// Name of the sink, number of messages.
    pub sinks: BTreeMap<String, u64>,
    /// Whether they are delivered after the next start; else they are lost.
    pub kept: bool,
}

impl Undelivered {
    /// How many messages are lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        if self.kept { 0 } else { self.sinks.values().sum() }
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
    /// Starts one worker per sink. Must be called within a tokio runtime; dropping the outbox ends the workers at once, and
    /// what they were sending is sent again after the next start.
    #[must_use]
    pub fn start<S: Into<Courier>>(store: Store, sinks: Vec<(String, S)>, retry: Retry, alarm: &Alarm) -> Self {
        let (lanes, broken) = (watch::Sender::default(), watch::Sender::default());
        let outbox = Self { store, retry, alarm: alarm.clone(), lanes, workers: Mutex::default(), broken };
        let _ = outbox.employ(sinks);
        outbox
    }

    /// From now on these sinks deliver. An attempt that is under way ends as it began; the rest is theirs. Waits until those
    /// that are no longer there have ended, at most `patience`.
    pub async fn exchange<S: Into<Courier>>(&self, sinks: Vec<(String, S)>, patience: Duration) {
        let before = self.employ(sinks);
        let gone: Vec<_> = {
            let now = self.lanes.borrow();
            before.into_iter().filter(|(name, _)| !now.contains_key(name)).map(|(_, lane)| lane).collect()
        };
        let ended = async {
            for lane in gone {
                drop(lane.turn.lock().await);
            }
        };
        let _ = tokio::time::timeout(patience, ended).await;
    }

    /// Starts a worker for each of these sinks, and tells those before them to end. Gives the lanes of the latter.
    fn employ<S: Into<Courier>>(&self, sinks: Vec<(String, S)>) -> Lanes {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        while workers.try_join_next().is_some() {}
        let before = self.lanes.borrow().clone();
        let mut lanes = Lanes::new();
        for (name, sink) in sinks {
            let Courier { sink, rate } = sink.into();
            let lane = before.get(&name).map_or_else(|| Lane::new(&name, rate), |lane| lane.successor(rate));
            let lane = Arc::new(lane);
            let work = worker::run(Arc::clone(&lane), self.store.clone(), sink, self.retry, self.alarm.clone());
            let broken = self.broken.clone();
            workers.spawn(async move {
                if let Err(error) = work.await {
                    broken.send_replace(Some(error));
                }
            });
            lanes.insert(name, lane);
        }
        self.lanes.send_replace(lanes);
        before.values().for_each(|lane| lane.leave());
        before
    }

    /// There are new messages for a sink in the store.
    pub fn wake(&self, sink: &str) {
        if let Some(lane) = self.lanes.borrow().get(sink) {
            lane.wake();
        }
    }

    /// There may be new messages for any sink in the store.
    pub fn wake_all(&self) {
        self.lanes.borrow().values().for_each(|lane| lane.wake());
    }

    /// There may be something new for any sink, and all of them are tried now, even those that took nothing so far.
    pub fn hurry(&self) {
        self.lanes.borrow().values().for_each(|lane| lane.hurry());
    }

    /// What becomes of a sink's messages, as it changes; `None` for an unknown sink.
    #[must_use]
    pub fn stats(&self, sink: &str) -> Option<watch::Receiver<SinkStats>> {
        self.lanes.borrow().get(sink).map(|lane| lane.stats.subscribe())
    }

    /// How many messages a sink may be sent; `None` for as many as there are, and for an unknown sink.
    #[must_use]
    pub fn rate(&self, sink: &str) -> Option<Rate> {
        self.lanes.borrow().get(sink).and_then(|lane| lane.rate)
    }

    /// Waits until every sink is closed for good, as when the terminal that was the only one is gone (`dockbell | head`).
    /// With no sink, or one that stays, it waits for ever.
    pub async fn all_gone(&self) {
        let mut lanes = self.lanes.subscribe();
        loop {
            let now = lanes.borrow_and_update().clone();
            tokio::select! {
                () = all(&now, |stats| stats.gone), if !now.is_empty() => return,
                // The sender lives in `self`, so this cannot end with an error.
                _ = lanes.changed() => {}
            }
        }
    }

    /// Waits until nothing waits for any sink.
    pub async fn all_told(&self) {
        let now = self.lanes.borrow().clone();
        all(&now, |stats| stats.idle).await;
    }

    /// Waits until the store does not work any more.
    pub async fn broken(&self) -> StoreError {
        let mut broken = self.broken.subscribe();
        let error = broken.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
        match error {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Delivers what is due within `grace`, and ends the workers. What is left stays in the store; a message that is being
    /// sent at that moment may have arrived, and is sent again.
    pub async fn close(&self, grace: Duration) -> Undelivered {
        self.lanes.borrow().values().for_each(|lane| lane.close());
        let mut workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            workers.shutdown().await;
        }
        match self.left().await {
            Ok(undelivered) => undelivered,
            Err(error) => {
                error!(%error, "It is not known what was not delivered.");
                Undelivered { sinks: BTreeMap::new(), kept: !self.store.is_in_memory() }
            }
        }
    }

    async fn left(&self) -> Result<Undelivered, StoreError> {
        let waits = [MessageState::Pending, MessageState::Sending];
        let mut undelivered = Undelivered { sinks: BTreeMap::new(), kept: !self.store.is_in_memory() };
        // Nobody is left to read those; they are no loss.
        let lanes = self.lanes.borrow().clone();
        let gone = |sink: &str| lanes.get(sink).is_some_and(|lane| lane.stats.borrow().gone);
        for count in self.store.stats().await?.messages {
            if waits.contains(&count.state) && (undelivered.kept || !gone(&count.sink)) {
                *undelivered.sinks.entry(count.sink).or_default() += count.messages;
            }
        }
        if undelivered.kept {
            if !undelivered.sinks.is_empty() {
                warn!("{undelivered}; that is done after the next start");
            }
            return Ok(undelivered);
        }
        let filter = Filter { states: waits.to_vec(), most: NAMED, ..Filter::default() };
        for message in self.store.messages(filter).await?.into_iter().filter(|message| !gone(&message.sink)) {
            let why = message.error.as_deref().unwrap_or("no time was left");
            error!(
                sink = message.sink, message = %message.id, route = message.route, subject = message.subject, error = why,
                "A message is lost."
            );
        }
        let further = undelivered.lost().saturating_sub(NAMED.into());
        if further > 0 {
            error!(messages = further, "Further messages are lost.");
        }
        Ok(undelivered)
    }
}

/// Waits until this is so of every sink.
async fn all(lanes: &Lanes, is_so: impl Fn(&SinkStats) -> bool) {
    for lane in lanes.values() {
        // The sender lives in the lane, so this cannot end with an error.
        let _ = lane.stats.subscribe().wait_for(&is_so).await;
    }
}
