//! From events to messages: filters, then a group, then a formatter.
//!
//! A route has its own instances of its plugins, so that a slow one holds no other back. Where events come from, where
//! messages go and what is stored in between is the caller's business.

mod between;
pub mod collected;
pub mod filters;
pub mod formatter;
pub mod group;
mod health;
pub mod plain;
pub mod room;
mod severity;
mod shorten;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use ulid::Ulid;

use crate::event::{Event, OWN_KIND};
use crate::message::{Alternative, Batch, Message};
use crate::queue::Weigh;
use crate::store::GroupRow;
use filters::Guarded;
use formatter::RouteFormatter;
use group::{Digest, Turn};

/// Events on their way into the routes, read once and shared by all of them. Their sequence numbers are those of the journal
/// and have no hole between them.
#[derive(Debug)]
pub struct Arrived {
    /// Sequence number of the first one.
    pub first: u64,
    /// When they came, by dockbell's clock.
    pub received: Timestamp,
    /// The events.
    pub events: Vec<Arc<Event>>,
}

impl Arrived {
    /// Sequence number of the last one.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.first + self.events.len() as u64 - 1
    }
}

impl Weigh for Arrived {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.events.iter().map(Weigh::weight).sum::<usize>()
    }
}

/// One route: which events it tells, and when and how.
pub struct Route {
    name: Arc<str>,
    /// None means all.
    engines: Option<HashSet<String>>,
    filters: Vec<Guarded>,
    digest: Digest,
    formatter: RouteFormatter,
}

impl Route {
    /// A route of started plugins; `engines` empty means all engines.
    #[must_use]
    pub fn new(
        name: &str,
        engines: &[String],
        filters: Vec<Guarded>,
        digest: Digest,
        formatter: RouteFormatter,
    ) -> Self {
        let engines = (!engines.is_empty()).then(|| engines.iter().cloned().collect());
        Self { name: name.into(), engines, filters, digest, formatter }
    }

    /// The name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Goes on where an earlier run was; see [`Digest::restore`].
    pub fn restore(&mut self, settled: u64, groups: Vec<GroupRow>) {
        self.digest.restore(settled, groups);
    }

    /// Sequence number of the last event that was taken in.
    #[must_use]
    pub fn reached(&self) -> u64 {
        self.digest.reached()
    }

    /// Up to where every event was told or was not wanted.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.digest.settled()
    }

    /// Takes events in, see [`take_one`](Self::take_one).
    pub async fn take(&mut self, arrived: &Arrived) {
        for (seq, event) in (arrived.first..).zip(&arrived.events) {
            self.take_one(seq, event, arrived.received).await;
        }
    }

    /// Takes an event in: if all filters accept it, it joins its group. What was taken in before is not taken in again.
    pub async fn take_one(&mut self, seq: u64, event: &Arc<Event>, received: Timestamp) {
        if seq <= self.digest.reached() {
            return;
        }
        if !self.is_of_its_engines(event) {
            self.digest.reach(seq);
            return;
        }
        if self.accepts(event).await {
            self.digest.add(seq, event, received);
        } else {
            self.digest.pass(seq, event, received);
        }
        self.digest.reach(seq);
    }

    /// There is nothing more to take in up to this sequence number.
    pub fn reach(&mut self, seq: u64) {
        self.digest.reach(seq);
    }

    fn is_of_its_engines(&self, event: &Event) -> bool {
        let of_dockbell = &*event.engine == OWN_KIND;
        of_dockbell || self.engines.as_ref().is_none_or(|engines| engines.contains(&*event.engine))
    }

    /// Older events are to be taken in now; see [`Digest::falls_behind`].
    pub fn falls_behind(&mut self) {
        self.digest.falls_behind();
    }

    /// All events that came until `now` were taken in; see [`Digest::caught_up`].
    pub fn caught_up(&mut self, now: Timestamp) {
        self.digest.caught_up(now);
    }

    async fn accepts(&mut self, event: &Event) -> bool {
        for filter in &mut self.filters {
            if !filter.accept(event).await {
                return false;
            }
        }
        true
    }

    /// When the next message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.digest.next_due()
    }

    /// Brings times that a clock set back has left too far ahead to at most a window from `now`.
    pub fn clamp_due(&mut self, now: Timestamp) {
        self.digest.clamp_due(now);
    }

    /// The next group whose time has come; call it until there is none. What its filters have to say is among the notes.
    pub fn turn(&mut self, now: Timestamp) -> Option<Turn> {
        let turn = self.digest.turn(now)?;
        Some(self.with_notes(turn))
    }

    /// The next group, whether its time has come or not: the end of a run.
    pub fn turn_any(&mut self) -> Option<Turn> {
        let turn = self.digest.turn_any()?;
        Some(self.with_notes(turn))
    }

    fn with_notes(&mut self, mut turn: Turn) -> Turn {
        if let Some(batch) = &mut turn.batch {
            batch.notes.extend(self.filters.iter_mut().filter_map(Guarded::take_note));
        }
        turn
    }

    /// The messages that tell a batch.
    pub async fn messages(&mut self, mut batch: Batch, now: Timestamp) -> Vec<Message> {
        let (group, phase, total) = (batch.group.clone(), batch.phase, batch.total);
        let between = std::mem::take(&mut batch.between);
        let left_out = left_out(total, batch.events.len(), between.lines().count());
        let mut notifications = self.formatter.format(batch, left_out).await;
        if let Some(first) = notifications.first_mut().filter(|_| !between.is_empty()) {
            first.alternatives.push(Alternative { media_type: "application/x-ndjson".to_owned(), content: between });
        }
        let message = |notification| Message {
            id: Ulid::generate(),
            route: Arc::clone(&self.name),
            group: group.clone(),
            phase,
            sealed_at: now,
            total,
            notification,
        };
        notifications.into_iter().map(message).collect()
    }

    /// What is to be told about the route's plugins since the last call: own events `plugin_failed` and `plugin_recovered`.
    pub fn take_own_events(&mut self) -> Vec<Event> {
        let name = &self.name;
        let filters = self.filters.iter_mut().filter_map(|filter| filter.health().take_change());
        let changes = filters.chain(self.formatter.health().take_change());
        changes.map(|change| change.into_event(name)).collect()
    }
}

/// Says where the events are that a message does not show: some are attached, and the others are only counted.
fn left_out(total: u32, shown: usize, attached: usize) -> Option<String> {
    let rest = (total as usize).checked_sub(shown).filter(|rest| *rest > 0)?;
    let where_they_are = match (attached, rest.saturating_sub(attached)) {
        (0, _) => format!("the other {rest} are only counted"),
        (_, 0) => format!("the other {rest} are attached to mails, in `events.jsonl`"),
        (_, counted) => format!("{attached} more are attached to mails, in `events.jsonl`; {counted} are only counted"),
    };
    Some(format!("{shown} of {total} events are shown here; {where_they_are}"))
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_the_events_are_that_it_does_not_show() {
        assert_eq!(left_out(100, 100, 0), None);
        for (total, attached, expected) in [
            (
                960,
                850,
                "100 of 960 events are shown here; 850 more are attached to mails, in `events.jsonl`; 10 are only counted",
            ),
            (960, 860, "100 of 960 events are shown here; the other 860 are attached to mails, in `events.jsonl`"),
            (102, 0, "100 of 102 events are shown here; the other 2 are only counted"),
        ] {
            assert_eq!(left_out(total, 100, attached).as_deref(), Some(expected));
        }
    }
}
