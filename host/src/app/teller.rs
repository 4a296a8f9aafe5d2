//! One route at work: events from the journal become messages in the outbox, and both stand in one transaction.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Stored};
use super::own::Own;
use super::patience;
use super::recorder::Arriving;
use crate::deliver::{Outbox, Sinks, is_about};
use crate::message::{Batch, Message, Phase};
use crate::route::collected::{add_notes, merge};
use crate::route::group::Turn;
use crate::route::{Arrived, Route};
use crate::store::{Full, NewMessage, Seal, Sealed, Store, StoreError, too_large};

/// Longest sleep of a route, so that a clock that jumps is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How often it is stored how far a route has come that tells nothing. After a crash so much is filtered again.
const SETTLE_EVERY: Duration = Duration::from_secs(5);
/// Groups that are told in one transaction.
const TOGETHER: usize = 32;

/// What all routes share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where events come from and messages go.
    pub store: Store,
    /// Delivers what is in the store.
    pub outbox: Arc<Outbox>,
    /// Give messages their final form.
    pub sinks: Arc<Sinks>,
    /// What is to be told about the route's plugins.
    pub own: Own,
}

/// A route at work.
#[derive(Debug)]
pub struct Teller {
    route: Route,
    to: Arc<[String]>,
    shared: Shared,
    /// How far the store knows that the route has come.
    settled: u64,
}

impl Teller {
    /// Takes a route up where an earlier run left it. `to` are names of sinks. It waits while the store has no room.
    ///
    /// # Errors
    /// The store is broken or closed.
    pub async fn open(mut route: Route, to: &[String], shared: Shared) -> Result<Self, StoreError> {
        let name = Arc::clone(route.name());
        let settled = patience::wait(|| shared.store.open_route(&name)).await?;
        let groups = patience::wait(|| shared.store.groups(&name)).await?;
        route.restore(settled, groups);
        Ok(Self { route, to: to.into(), shared, settled })
    }

    /// Runs until the queue ends, then tells what is open. When `leave` is cancelled it only stores how far it has come, for
    /// another that goes on with the route.
    ///
    /// # Errors
    /// The store is broken or closed. What was not told then is told after the next start.
    pub async fn run(mut self, mut arriving: Arriving, leave: CancellationToken) -> Result<(), StoreError> {
        let newest = patience::wait(|| self.shared.store.newest()).await?;
        self.catch_up(newest, &leave).await?;
        let mut settle_at = Instant::now() + SETTLE_EVERY;
        loop {
            let now = Timestamp::now();
            self.route.clamp_due(now);
            self.tell_due(now).await?;
            let wait = self.route.next_due().map_or(LONGEST_SLEEP, |due| until(now, due));
            tokio::select! {
                biased;
                () = leave.cancelled() => return self.settle().await,
                () = sleep_until(settle_at) => {
                    self.settle().await?;
                    settle_at = Instant::now() + SETTLE_EVERY;
                }
                arrived = arriving.queue.recv() => match arrived {
                    Some(arrived) => {
                        if arrived.first > self.route.reached() + 1 {
                            // At once up to the newest that did not fit: piece by piece each piece would be waited for.
                            let missed = *arriving.missed.borrow_and_update();
                            self.catch_up(missed.max(arrived.first - 1), &leave).await?;
                        }
                        self.take(&arrived, &leave).await;
                    }
                    None => break,
                },
                Ok(()) = arriving.missed.changed() => {
                    let missed = *arriving.missed.borrow_and_update();
                    self.catch_up(missed, &leave).await?;
                }
                () = sleep(wait) => {}
            }
        }
        // What did not fit into the queue.
        let newest = patience::wait(|| self.shared.store.newest()).await?;
        self.catch_up(newest, &leave).await?;
        let now = Timestamp::now();
        self.tell(|route| route.turn_any(), now).await?;
        self.settle().await
    }

    async fn take(&mut self, arrived: &Arrived, leave: &CancellationToken) {
        // What was not caught up with is not passed over.
        if !leave.is_cancelled() {
            self.route.take(arrived).await;
            self.tell_own();
        }
    }

    /// Reads from the journal what did not come through the queue; not all of it when it is to leave.
    async fn catch_up(&mut self, through: u64, leave: &CancellationToken) -> Result<(), StoreError> {
        if through <= self.route.reached() {
            self.route.caught_up(Timestamp::now());
            return Ok(());
        }
        self.route.falls_behind();
        let mut backlog = Backlog::new(&self.shared.store, self.route.reached(), through);
        while let Some(stored) = backlog.next().await? {
            for Stored { received, events, last } in stored {
                if leave.is_cancelled() {
                    return Ok(());
                }
                for (seq, event) in events {
                    self.route.take_one(seq, &event, received).await;
                }
                self.route.reach(last);
            }
            self.tell_own();
            self.tell_due(Timestamp::now()).await?;
        }
        self.route.reach(through);
        self.route.caught_up(Timestamp::now());
        Ok(())
    }

    fn tell_own(&mut self) {
        for event in self.route.take_own_events() {
            self.shared.own.tell(event);
        }
    }

    async fn settle(&mut self) -> Result<(), StoreError> {
        let settled = self.route.settled();
        if settled > self.settled {
            let name = Arc::clone(self.route.name());
            patience::wait(|| self.shared.store.settle(&name, settled)).await?;
            self.settled = settled;
        }
        Ok(())
    }

    async fn tell_due(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.tell(|route| route.turn(now), now).await
    }

    /// Tells every group whose turn it is.
    async fn tell(
        &mut self,
        mut next: impl FnMut(&mut Route) -> Option<Turn>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        loop {
            let mut turns = Vec::new();
            while turns.len() < TOGETHER
                && let Some(turn) = next(&mut self.route)
            {
                turns.push(turn);
            }
            if turns.is_empty() {
                return Ok(());
            }
            self.seal(&turns, now).await?;
            self.tell_own();
        }
    }

    async fn seal(&mut self, turns: &[Turn], now: Timestamp) -> Result<(), StoreError> {
        let mut told = Vec::new();
        for batch in turns.iter().filter_map(|turn| turn.batch.as_ref()) {
            told.push((batch, Arc::from(self.route.messages(batch.clone(), now).await)));
        }
        loop {
            let mut seal = Seal {
                route: self.route.name().to_string(),
                groups: turns.iter().map(|turn| turn.change.clone()).collect(),
                settled: Some(self.route.settled()),
                ..Seal::default()
            };
            for sink in &*Arc::clone(&self.to) {
                self.address_all(sink, &told, now, &mut seal).await?;
            }
            if matches!(store(&self.shared.store, &mut seal).await?, Sealed::Done(_)) {
                seal.messages.iter().for_each(|message| self.shared.outbox.wake(&message.sink));
                seal.too_large.iter().for_each(|message| self.shared.tell_lost(message));
                self.settled = self.settled.max(seal.settled.unwrap_or_default());
                return Ok(());
            }
            // A worker has begun to send what was to be replaced: look again.
        }
    }

    /// Adds what one sink is told. When as many messages of the route wait for the sink as its rate lets through at once,
    /// what comes beyond is told in one message, whatever its groups are.
    async fn address_all(
        &mut self,
        sink: &str,
        told: &[(&Batch, Arc<[Message]>)],
        now: Timestamp,
        seal: &mut Seal,
    ) -> Result<(), StoreError> {
        let Some(rate) = self.shared.outbox.rate(sink) else {
            for (batch, messages) in told {
                self.address(sink, batch, Some(messages), now, seal).await?;
            }
            return Ok(());
        };
        let route = Arc::clone(self.route.name());
        let mut waiting = patience::wait(|| self.shared.store.waiting(&route, sink, rate.messages)).await?;
        let mut beyond = Vec::new();
        for (batch, messages) in told {
            if waiting >= rate.messages && !batch.group.is_empty() {
                beyond.extend(Some((*batch).clone()).filter(|batch| !is_about(batch, sink)));
            } else {
                let before = seal.messages.len();
                self.address(sink, batch, Some(messages), now, seal).await?;
                waiting += u32::try_from(seal.messages.len() - before).unwrap_or(u32::MAX);
            }
        }
        if beyond.is_empty() {
            return Ok(());
        }
        let note = format!("more waits than is sent here ({rate}), so that messages of several groups are one");
        let last = beyond.pop();
        let all = last.map(|last| Batch { group: String::new(), phase: Phase::Digest, ..merge(beyond, last) });
        if let Some(mut all) = all {
            let notes = std::mem::replace(&mut all.notes, vec![note]);
            add_notes(&mut all.notes, notes);
            self.address(sink, &all, None, now, seal).await?;
        }
        Ok(())
    }

    /// Adds what one sink is told about a batch, for which there may be messages already. What waits for it and was never tried
    /// is told together with it.
    async fn address(
        &mut self,
        sink: &str,
        batch: &Batch,
        messages: Option<&Arc<[Message]>>,
        now: Timestamp,
        seal: &mut Seal,
    ) -> Result<(), StoreError> {
        if is_about(batch, sink) {
            return Ok(());
        }
        let (route, group) = (Arc::clone(self.route.name()), batch.group.as_str());
        let waiting = match batch.phase {
            Phase::Closing => Vec::new(),
            _ => patience::wait(|| self.shared.store.untried(&route, group, sink)).await?,
        };
        let earlier: Vec<Batch> =
            waiting.iter().filter_map(|message| serde_json::from_slice(&message.batch).ok()).collect();
        let mut batch = Cow::Borrowed(batch);
        let mut messages = messages.map(Arc::clone);
        if !earlier.is_empty() && earlier.len() == waiting.len() {
            seal.replaces.extend(waiting.iter().map(|message| message.number));
            batch = Cow::Owned(merge(earlier, batch.into_owned()));
            messages = None;
        }
        let messages = match messages {
            Some(messages) => messages,
            None => Arc::from(self.route.messages(batch.clone().into_owned(), now).await),
        };
        seal.messages.extend(self.shared.sinks.seal(sink, &messages, Some(&batch)).await);
        Ok(())
    }
}

impl Shared {
    fn tell_lost(&self, message: &NewMessage) {
        let (sink, route, why) = (message.sink.as_str(), message.route.as_str(), too_large(message));
        tracing::error!(sink, route, message = %message.id, events = message.total, "A message is lost: {why}.");
        // A loss of what tells of losses is not told again.
        if !message.alarm {
            self.own.dead_letter(sink, message.id, &message.subject, &why);
        }
    }
}

/// Stores what is told. It waits while there is no room, but not for ever: a message for which there may never be room is
/// stored without its content.
async fn store(store: &Store, seal: &mut Seal) -> Result<Sealed, StoreError> {
    match store.seal(seal.clone()).await {
        Err(StoreError::Full(Full::Quota { .. })) => _ = seal.leave_out(store.largest_message()),
        Err(error) if error.is_passing() => {}
        done => return done,
    }
    patience::wait(|| store.seal(seal.clone())).await
}

fn until(now: Timestamp, due: Timestamp) -> Duration {
    let left = due.duration_since(now).unsigned_abs();
    if due > now { left.min(LONGEST_SLEEP) } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, Place};

    fn message(group: &str, bytes: usize) -> NewMessage {
        NewMessage {
            id: ulid::Ulid::generate(),
            sink: "ops".to_owned(),
            route: "default".to_owned(),
            group: group.to_owned(),
            phase: Phase::Digest,
            subject: group.to_owned(),
            total: 1,
            sealed_at: Timestamp::UNIX_EPOCH,
            deadline: None,
            wire: vec![b'x'; bytes].into(),
            plainer: None,
            recipients: vec!["ops".into()],
            batch: None,
            alarm: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_goes_on_behind_a_message_for_which_there_is_never_room() {
        let options = Options { quota: Some(2 << 20), ..Options::default() };
        let memory = Store::open(&Place::Memory, &options).unwrap().store;
        let messages = vec![message("web", 4 << 20), message("db", 1000)];
        let mut seal = Seal { route: "default".to_owned(), messages, settled: Some(7), ..Seal::default() };
        assert!(matches!(store(&memory, &mut seal).await, Ok(Sealed::Done(numbers)) if numbers.len() == 1));
        assert_eq!((seal.too_large.len(), seal.too_large[0].group.as_str()), (1, "web"));
        assert_eq!(memory.open_route("default").await.unwrap(), 7);
    }
}
