//! When events are told: the first at once, what follows in one digest per window.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::collected::Collected;
use crate::config::{GroupBy, RouteConfig};
use crate::event::{Event, Fact};
use crate::message::{Batch, Phase};
use crate::store::groups::Groups;

/// Groups that may be open at once in a route; what comes beyond shares one group. Whoever names containers decides how
/// many groups there are, so there must be an end.
const MAX_GROUPS: usize = 10_000;

/// How the events of a route are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As they come: the first after `settle`, the rest once per `window`.
    Windows {
        /// How long the first event waits for others that belong to it.
        settle: Duration,
        /// The time between messages; zero tells everything after `settle`.
        window: Duration,
        /// The longest window while only restart loops go on.
        window_max: Duration,
    },
    /// All in one digest at the end, for runs that end by themselves.
    AtEnd,
}

/// The digests of one route.
#[derive(Debug)]
pub struct Digest {
    route: Arc<str>,
    by: GroupBy,
    pace: Pace,
    groups: Groups<Group>,
}

#[derive(Debug)]
struct Group {
    state: State,
    collected: Collected,
}

#[derive(Debug)]
enum State {
    /// Nothing was told yet.
    Settling,
    /// Something was told; the window runs.
    Open(Window),
}

#[derive(Debug)]
struct Window {
    length: Duration,
    /// Who restarted again and again in the windows before.
    loops: HashSet<String>,
    /// Events told since those loops began.
    told: u32,
    /// Whether this window brought anything but these loops.
    fresh: bool,
}

impl Digest {
    /// The digests of a route at the pace that its configuration says.
    #[must_use]
    pub fn new(route: &str, config: &RouteConfig) -> Self {
        let RouteConfig { settle, window, window_max, .. } = *config;
        let window_max = window_max.max(window);
        Self {
            route: route.into(),
            by: config.group_by,
            pace: Pace::Windows { settle, window, window_max },
            groups: Groups::default(),
        }
    }

    /// Tells everything at the end instead.
    #[must_use]
    pub fn at_end(mut self) -> Self {
        self.pace = Pace::AtEnd;
        self
    }

    /// When the next message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.groups.next_due().filter(|due| *due < Timestamp::MAX)
    }

    /// Adds an event to its group, at the time `now`.
    pub fn add(&mut self, event: &Arc<Event>, now: Timestamp) {
        let mut key = key(self.by, event);
        if self.groups.len() >= MAX_GROUPS && self.groups.get_mut(&key).is_none() {
            key = Cow::Borrowed("");
        }
        if let Some((group, due)) = self.groups.get_mut(&key) {
            group.collected.add(event);
            let sooner = match &mut group.state {
                State::Settling => None,
                State::Open(window) => window.saw(event, self.pace, now),
            };
            if let Some(sooner) = sooner.filter(|sooner| *sooner < due) {
                self.groups.set_due(&key, sooner);
            }
            return;
        }
        let mut group = Group { state: State::Settling, collected: Collected::default() };
        group.collected.add(event);
        let due = match self.pace {
            Pace::Windows { settle, .. } => after(now, settle),
            Pace::AtEnd => Timestamp::MAX,
        };
        self.groups.put(key.into_owned(), group, due);
    }

    /// The next batch whose time has come. Call it until there is none.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Batch> {
        while let Some((key, group)) = self.groups.take_due(now) {
            if let Some(batch) = self.turn(key, group, now) {
                return Some(batch);
            }
        }
        None
    }

    /// The next batch, whether its time has come or not; nothing stays open behind it. Call it until there is none.
    pub fn take_any(&mut self) -> Option<Batch> {
        while let Some((key, mut group)) = self.groups.take_due(Timestamp::MAX) {
            if group.collected.total() > 0 {
                let phase = match (&group.state, self.pace) {
                    (State::Settling, Pace::Windows { .. }) => Phase::First,
                    _ => Phase::Digest,
                };
                return Some(group.collected.seal(&self.route, &key, phase, vec![]));
            }
        }
        None
    }

    /// A group's time has come: tell what it has, and open the next window or let it go.
    fn turn(&mut self, key: String, mut group: Group, now: Timestamp) -> Option<Batch> {
        let Pace::Windows { window: shortest, window_max, .. } = self.pace else { return None };
        let told = group.collected.total();
        let (phase, next) = match group.state {
            State::Settling => (Phase::First, Window::new(shortest)),
            State::Open(window) if told == 0 => return window.close(&self.route, &key),
            State::Open(window) => (Phase::Digest, window.next(shortest, window_max, told)),
        };
        let batch = group.collected.seal(&self.route, &key, phase, vec![]);
        if !next.length.is_zero() {
            let due = after(now, next.length);
            self.groups.put(key, Group { state: State::Open(next), collected: Collected::default() }, due);
        }
        Some(batch)
    }
}

impl Window {
    fn new(length: Duration) -> Self {
        Self { length, loops: HashSet::new(), told: 0, fresh: false }
    }

    /// Notes an event; when it is anything but a known loop, says when it is to be told at the latest.
    fn saw(&mut self, event: &Event, pace: Pace, now: Timestamp) -> Option<Timestamp> {
        let looping = event.fact(Fact::Looping).is_some();
        if looping && self.loops.contains(event.who()) {
            return None;
        }
        if looping {
            self.loops.insert(event.who().to_owned());
        }
        self.fresh = true;
        match pace {
            Pace::Windows { window, .. } => Some(after(now, window)),
            Pace::AtEnd => None,
        }
    }

    /// The window after one that brought something: longer while only known loops go on.
    fn next(mut self, shortest: Duration, longest: Duration, told: u32) -> Self {
        if self.loops.is_empty() {
            return Self::new(shortest);
        }
        self.length = if self.fresh { shortest } else { (self.length * 2).min(longest) };
        self.fresh = false;
        self.told = self.told.saturating_add(told);
        self
    }

    /// The end of a window that brought nothing: if loops went on before, they have ended, and that is told.
    fn close(self, route: &Arc<str>, key: &str) -> Option<Batch> {
        if self.loops.is_empty() {
            return None;
        }
        let mut who: Vec<String> = self.loops.into_iter().collect();
        who.sort();
        let quiet = jiff::SignedDuration::try_from(self.length).unwrap_or_default();
        let note = format!(
            "{}: no more restarts for {quiet:#}; {} events were told since the loop began",
            who.join(", "),
            self.told
        );
        Some(Collected::default().seal(route, key, Phase::Closing, vec![note]))
    }
}

/// What an event has in common with others of its group.
fn key(by: GroupBy, event: &Event) -> Cow<'_, str> {
    match by {
        GroupBy::None => Cow::Borrowed(""),
        GroupBy::Service => Cow::Borrowed(event.fact(Fact::Identity).unwrap_or_else(|| event.who())),
        GroupBy::Container => Cow::Borrowed(event.who()),
        GroupBy::Engine => Cow::Borrowed(&event.engine),
        GroupBy::Kind => Cow::Borrowed(&event.kind),
    }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
