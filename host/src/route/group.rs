//! When events are told: the first at once, what follows in one digest per window.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::collected::Collected;
use super::room::Room;
use super::severity::is_trouble;
use crate::config::{GroupBy, RouteConfig};
use crate::event::{Event, Fact};
use crate::message::{Batch, Phase};
use crate::store::groups::Groups;
use crate::store::{GroupChange, GroupRow};

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
    /// By their keys, in front of each what it is a key of ([`key`]).
    groups: Groups<Group>,
    /// The memory of the events that wait, shared with other routes.
    room: Room,
    /// Sequence number of the last event that was looked at, whether it was added or not.
    reached: u64,
    /// Up to which events the groups of an earlier run were told, for those that had come further than the route.
    told_before: HashMap<String, u64>,
    /// What these groups had in common: `group-by` may have been another one.
    by_before: Vec<GroupBy>,
    /// What time it was when the due times were looked at last.
    looked_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Group {
    state: State,
    collected: Collected,
    /// Sequence number of the first event that waits.
    first: Option<u64>,
    /// Whether something is broken among what waits.
    trouble: bool,
}

impl Group {
    fn new(state: State, room: &Room) -> Self {
        Self { state, collected: Collected::within(room), first: None, trouble: false }
    }

    fn add(&mut self, seq: u64, event: &Arc<Event>) {
        self.collected.add(event);
        self.first.get_or_insert(seq);
    }
}

/// A group whose time has come: what is told, if anything is, and what becomes of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What is told.
    pub batch: Option<Batch>,
    /// To be stored together with the messages made of the batch.
    pub change: GroupChange,
}

#[derive(Debug)]
enum State {
    /// Nothing was told yet.
    Settling,
    /// Something was told; the window runs.
    Open(Window),
}

/// Stored as JSON while the window runs; what it brings is in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct Window {
    length: Duration,
    /// Who restarted again and again in the windows before.
    loops: BTreeSet<String>,
    /// Events told since those loops began.
    told: u32,
    /// Whether this window brought anything but these loops.
    fresh: bool,
    /// Whether the message that began this window told that something is broken.
    #[serde(default)]
    trouble: bool,
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
            reached: 0,
            room: Room::default(),
            told_before: HashMap::new(),
            by_before: Vec::new(),
            looked_at: None,
        }
    }

    /// Goes on where an earlier run was: the route had settled all events up to `settled`, and these were its groups. The
    /// events behind `settled` are to be added again.
    pub fn restore(&mut self, settled: u64, rows: Vec<GroupRow>) {
        self.reached = settled;
        for GroupRow { key, state, due, sealed_through } in rows {
            if sealed_through > settled {
                self.told_before.insert(key.clone(), sealed_through);
                let by = GroupBy::ALL.into_iter().find(|by| is_key_of(*by, &key)).unwrap_or(self.by);
                if !self.by_before.contains(&by) {
                    self.by_before.push(by);
                }
            }
            let Some(due) = due else { continue };
            let Ok(window) = serde_json::from_str(&state) else {
                tracing::error!(
                    route = &*self.route,
                    group = key,
                    "a stored window cannot be read; the group begins anew"
                );
                continue;
            };
            self.groups.put(key, Group::new(State::Open(window), &self.room), due);
        }
    }

    /// Sequence number of the last event that was looked at.
    #[must_use]
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// All events up to `seq` were looked at.
    pub fn reach(&mut self, seq: u64) {
        self.reached = self.reached.max(seq);
        if !self.told_before.is_empty() && self.told_before.values().all(|told| *told <= seq) {
            self.told_before.clear();
        }
    }

    /// Up to where every event was told or was not wanted.
    #[must_use]
    pub fn settled(&self) -> u64 {
        let waiting = self.groups.iter().filter_map(|group| group.first).min();
        waiting.map_or(self.reached, |first| (first - 1).min(self.reached))
    }

    /// Brings times that a clock set back has left too far ahead to at most a group's own wait from `now`. Call it before
    /// each look at what is due.
    pub fn clamp_due(&mut self, now: Timestamp) {
        let Pace::Windows { settle, window_max, .. } = self.pace else { return };
        let went_back = self.looked_at.replace(now).is_none_or(|before| now < before);
        // Events that came before the clock was set may be read from the journal after it.
        let longest = after(now, settle.max(window_max));
        if went_back || self.groups.last_due().is_some_and(|last| last > longest) {
            self.groups.clamp_due(|group| match &group.state {
                State::Settling => after(now, settle),
                State::Open(window) => after(now, window.length),
            });
        }
    }

    /// Takes the memory for events from this room, together with others.
    #[must_use]
    pub fn sharing(mut self, room: &Room) -> Self {
        self.room = room.clone();
        self
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

    /// Adds the event number `seq` to its group, at the time `now`.
    pub fn add(&mut self, seq: u64, event: &Arc<Event>, now: Timestamp) {
        let mut key = key(self.by, event);
        if !self.told_before.is_empty() && self.was_told(seq, event) {
            return;
        }
        if self.groups.len() >= MAX_GROUPS && self.groups.get_mut(&key).is_none() {
            key = Cow::Owned(format!("{}:", self.by.name()));
        }
        if let Some((group, due)) = self.groups.get_mut(&key) {
            let is_worse = is_trouble(event) && !std::mem::replace(&mut group.trouble, true);
            group.add(seq, event);
            let sooner = match &mut group.state {
                State::Settling => None,
                // What was received before the last message waits as long as what came right behind it.
                State::Open(window) => window.saw(event, is_worse, self.pace, now.max(window.opened(due))),
            };
            if let Some(sooner) = sooner.filter(|sooner| *sooner < due) {
                self.groups.set_due(&key, sooner);
            }
            return;
        }
        let mut group = Group::new(State::Settling, &self.room);
        group.trouble = is_trouble(event);
        group.add(seq, event);
        let due = match self.pace {
            Pace::Windows { settle, .. } => after(now, settle),
            Pace::AtEnd => Timestamp::MAX,
        };
        self.groups.put(key.into_owned(), group, due);
    }

    /// Whether an earlier run has told an event, whatever its groups had in common.
    fn was_told(&self, seq: u64, event: &Event) -> bool {
        self.by_before.iter().any(|by| self.told_before.get(&*key(*by, event)).is_some_and(|told| *told >= seq))
    }

    /// The next group whose time has come. Call it until there is none.
    pub fn turn(&mut self, now: Timestamp) -> Option<Turn> {
        let (key, group) = self.groups.take_due(now)?;
        Some(self.advance(key, group, now))
    }

    /// The next group, whether its time has come or not; nothing stays open behind it. Call it until there is none.
    pub fn turn_any(&mut self) -> Option<Turn> {
        let (key, mut group) = self.groups.take_due(Timestamp::MAX)?;
        let phase = match (&group.state, self.pace) {
            (State::Settling, Pace::Windows { .. }) => Phase::First,
            _ => Phase::Digest,
        };
        let told = group.collected.total() > 0;
        let batch = told.then(|| group.collected.seal(&self.route, bare(&key), phase, vec![]));
        Some(Turn { batch, change: self.over(key) })
    }

    fn over(&self, key: String) -> GroupChange {
        let sealed_through = self.sealed_through(&key);
        GroupChange::Close { key, sealed_through }
    }

    /// Up to where a group was told that has nothing waiting: an earlier run may have been further than this one is yet.
    fn sealed_through(&self, key: &str) -> u64 {
        if !is_key_of(self.by, key) {
            // Nothing is added to it: its events are in other groups now, and may wait there.
            return self.told_before.get(key).copied().unwrap_or_default();
        }
        self.told_before.get(key).map_or(self.reached, |told| self.reached.max(*told))
    }

    /// A group's time has come: tell what it has, and open the next window or let it go.
    fn advance(&mut self, key: String, mut group: Group, now: Timestamp) -> Turn {
        let told = group.collected.total();
        let (phase, mut next) = match (group.state, self.pace) {
            (State::Settling, Pace::Windows { window, .. }) => (Phase::First, Window::new(window)),
            (State::Open(window), Pace::Windows { .. }) if told == 0 => {
                return Turn { batch: window.close(&self.route, &key), change: self.over(key) };
            }
            (State::Open(open), Pace::Windows { window, window_max, .. }) => {
                (Phase::Digest, open.next(window, window_max, told))
            }
            (_, Pace::AtEnd) => (Phase::Digest, Window::new(Duration::ZERO)),
        };
        next.trouble = group.trouble;
        let batch = Some(group.collected.seal(&self.route, bare(&key), phase, vec![]));
        if next.length.is_zero() {
            return Turn { batch, change: self.over(key) };
        }
        let due = after(now, next.length);
        // Durations and strings can always be written.
        let state = serde_json::to_string(&next).unwrap_or_default();
        let sealed_through = self.sealed_through(&key);
        let row = GroupRow { key: key.clone(), state, due: Some(due), sealed_through };
        self.groups.put(key, Group::new(State::Open(next), &self.room), due);
        Turn { batch, change: GroupChange::Save(row) }
    }
}

impl Window {
    fn new(length: Duration) -> Self {
        Self { length, loops: BTreeSet::new(), told: 0, fresh: false, trouble: false }
    }

    /// When it began, if it is due then. One that was moved to be due sooner seems to have begun so much earlier.
    fn opened(&self, due: Timestamp) -> Timestamp {
        due.checked_sub(self.length).unwrap_or(Timestamp::MIN)
    }

    /// Notes an event; when it is anything but a known loop, says when it is to be told at the latest. The first trouble in
    /// a window that began with a harmless message does not wait for the window's end.
    fn saw(&mut self, event: &Event, is_first_trouble: bool, pace: Pace, now: Timestamp) -> Option<Timestamp> {
        let looping = event.fact(Fact::Looping).is_some();
        if looping && self.loops.contains(event.who()) {
            return None;
        }
        if looping {
            self.loops.insert(event.who().to_owned());
        }
        self.fresh = true;
        match pace {
            Pace::Windows { settle, window, .. } if is_first_trouble && !self.trouble => {
                Some(after(now, settle.min(window)))
            }
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
        let who: Vec<String> = self.loops.into_iter().collect();
        let quiet = jiff::SignedDuration::try_from(self.length).unwrap_or_default();
        let note = format!(
            "{}: no more restarts for {quiet:#}; {} events were told since the loop began",
            who.join(", "),
            self.told
        );
        Some(Collected::default().seal(route, bare(key), Phase::Closing, vec![note]))
    }
}

/// What an event has in common with others of its group, behind the word for what that is: `kind:container`. So it stays
/// known what a stored group is one of, when `group-by` becomes another.
fn key(by: GroupBy, event: &Event) -> Cow<'static, str> {
    let common: &str = match by {
        GroupBy::None => return Cow::Borrowed("none:"),
        GroupBy::Service => event.fact(Fact::Identity).unwrap_or_else(|| event.who()),
        GroupBy::Container => event.who(),
        GroupBy::Engine => &event.engine,
        GroupBy::Kind => &event.kind,
    };
    Cow::Owned([by.name(), ":", common].concat())
}

fn is_key_of(by: GroupBy, key: &str) -> bool {
    key.strip_prefix(by.name()).is_some_and(|rest| rest.starts_with(':'))
}

/// What people see of a key.
fn bare(key: &str) -> &str {
    key.split_once(':').map_or(key, |(_, common)| common)
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
