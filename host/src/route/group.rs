//! When events are told: the first at once, what follows in one digest per window.

mod loops;
mod watched;
mod window;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::collected::Collected;
use super::room::Room;
use super::severity::is_trouble;
use crate::config::{GroupBy, RouteConfig};
use crate::event::{Event, Fact};
use crate::message::{Batch, Phase};
use crate::store::groups::Groups;
use crate::store::{GroupChange, GroupRow};
use loops::Loops;
use watched::Watched;
use window::{Stored, Window};

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
    /// Since when nothing is missed.
    watched: Watched,
}

#[derive(Debug)]
struct Group {
    state: State,
    collected: Collected,
    /// Sequence number of the first event that waits.
    first: Option<u64>,
    /// Whether something is broken among what waits.
    trouble: bool,
    /// The restart loops that were told, or are told next.
    loops: Loops,
    /// Sequence number of the first event that is noted in `loops` and not stored with them.
    noted: Option<u64>,
}

impl Group {
    fn new(state: State, loops: Loops, room: &Room) -> Self {
        Self { state, collected: Collected::within(room), first: None, trouble: false, loops, noted: None }
    }

    /// Adds an event; returns whether it only says that a known loop goes on.
    fn add(&mut self, seq: u64, event: &Arc<Event>, now: Timestamp) -> bool {
        self.note(seq, event, now);
        self.collected.add(event);
        self.first.get_or_insert(seq);
        self.loops.tell(seq, event, now)
    }

    /// Takes in what an event says about a known loop.
    fn note(&mut self, seq: u64, event: &Event, now: Timestamp) {
        if loops::matters(event) && self.loops.note(seq, event, now) {
            self.noted.get_or_insert(seq);
        }
    }

    fn waits_since(&self) -> Option<u64> {
        self.first.into_iter().chain(self.noted).min()
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
            watched: Watched::default(),
        }
    }

    /// Goes on where an earlier run was: the route had settled all events up to `settled`, and these were its groups. The
    /// events behind `settled` are to be added again; then call [`caught_up`](Self::caught_up).
    pub fn restore(&mut self, settled: u64, rows: Vec<GroupRow>) {
        self.reached = settled;
        self.watched.restore();
        for GroupRow { key, state, due, sealed_through } in rows {
            if sealed_through > settled {
                self.told_before.insert(key.clone(), sealed_through);
                let by = GroupBy::ALL.into_iter().find(|by| is_key_of(*by, &key)).unwrap_or(self.by);
                if !self.by_before.contains(&by) {
                    self.by_before.push(by);
                }
            }
            let Some(due) = due else { continue };
            let Ok(Stored { window, restarting }) = serde_json::from_str(&state) else {
                tracing::error!(
                    route = &*self.route,
                    group = key,
                    "a stored window cannot be read; the group begins anew"
                );
                continue;
            };
            let state = State::Open(window.into_owned());
            self.groups.put(key, Group::new(state, restarting.into_owned(), &self.room), due);
        }
    }

    /// Older events are to be added now, and groups may be due meanwhile: no restart loop is judged before all of them are.
    pub fn falls_behind(&mut self) {
        self.watched.fall_behind();
    }

    /// All events that came until `now` were added.
    pub fn caught_up(&mut self, now: Timestamp) {
        self.watched.catch_up(now);
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

    /// Up to where every event was told or was not wanted, and is not needed to know how a restart loop ends.
    #[must_use]
    pub fn settled(&self) -> u64 {
        let waiting = self.groups.iter().filter_map(Group::waits_since).min();
        waiting.map_or(self.reached, |first| (first - 1).min(self.reached))
    }

    /// Brings times that a clock set back has left too far ahead to at most a group's own wait from `now`. Call it before
    /// each look at what is due.
    pub fn clamp_due(&mut self, now: Timestamp) {
        let Pace::Windows { settle, window_max, .. } = self.pace else { return };
        let went_back = self.looked_at.replace(now).is_none_or(|before| now < before);
        if went_back {
            self.watched.clamp(now);
        }
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

    /// Takes in an event that is not wanted: it may say how a restart loop goes on that was told.
    pub fn pass(&mut self, seq: u64, event: &Event, now: Timestamp) {
        self.watched.note(event, now);
        if self.groups.is_empty() || !loops::matters(event) {
            return;
        }
        let key = self.open_key(event);
        if let Some((group, _)) = self.groups.get_mut(&key) {
            group.note(seq, event, now);
        }
    }

    /// The key of the group that an event belongs to.
    fn open_key(&mut self, event: &Event) -> Cow<'static, str> {
        let key = key(self.by, event);
        if self.groups.len() >= MAX_GROUPS && self.groups.get_mut(&key).is_none() {
            return Cow::Owned(format!("{}:", self.by.name()));
        }
        key
    }

    /// Adds the event number `seq` to its group, at the time `now`.
    pub fn add(&mut self, seq: u64, event: &Arc<Event>, now: Timestamp) {
        self.watched.note(event, now);
        if !self.told_before.is_empty() && self.was_told(seq, event) {
            return;
        }
        let key = self.open_key(event);
        if let Some((group, due)) = self.groups.get_mut(&key) {
            let is_worse = is_trouble(event) && !std::mem::replace(&mut group.trouble, true);
            let is_known_loop = group.add(seq, event, now);
            let sooner = match &mut group.state {
                State::Open(window) if !is_known_loop => {
                    // What was received before the last message waits as long as what came right behind it.
                    window.saw(is_worse, self.pace, now.max(window.opened(due)))
                }
                _ => None,
            };
            if let Some(sooner) = sooner.filter(|sooner| *sooner < due) {
                self.groups.set_due(&key, sooner);
            }
            return;
        }
        let mut group = Group::new(State::Settling, Loops::default(), &self.room);
        group.trouble = is_trouble(event);
        group.add(seq, event, now);
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

    /// A group's time has come: tell what it has and how its loops ended, and open the next window or let it go.
    fn advance(&mut self, key: String, mut group: Group, now: Timestamp) -> Turn {
        let told = group.collected.total();
        let ended = group.loops.take_ended(&self.watched, now);
        let has_recovered = group.loops.is_empty() && ended.iter().all(|loop_| loop_.recovered);
        let looping = !group.loops.is_empty();
        let (phase, mut next) = match (group.state, self.pace) {
            (State::Settling, Pace::Windows { window, .. }) => (Phase::First, Window::new(window)),
            // Whether the loops have ended is not known before they were quiet for long enough.
            (State::Open(window), Pace::Windows { .. }) if told == 0 => {
                (if has_recovered { Phase::Closing } else { Phase::Digest }, window)
            }
            (State::Open(open), Pace::Windows { window, window_max, .. }) => {
                (Phase::Digest, open.next(window, window_max, looping))
            }
            (_, Pace::AtEnd) => (Phase::Digest, Window::new(Duration::ZERO)),
        };
        let notes: Vec<String> = ended.into_iter().map(|ended| ended.note).collect();
        let batch =
            (told > 0 || !notes.is_empty()).then(|| group.collected.seal(&self.route, bare(&key), phase, notes));
        if next.length.is_zero() || (told == 0 && !looping) {
            return Turn { batch, change: self.over(key) };
        }
        if told > 0 {
            next.trouble = group.trouble;
        }
        let due = after(now, next.length);
        let stored = Stored { window: Cow::Borrowed(&next), restarting: Cow::Borrowed(&group.loops) };
        // Durations and strings can always be written.
        let state = serde_json::to_string(&stored).unwrap_or_default();
        let sealed_through = self.sealed_through(&key);
        let row = GroupRow { key: key.clone(), state, due: Some(due), sealed_through };
        self.groups.put(key, Group::new(State::Open(next), group.loops, &self.room), due);
        Turn { batch, change: GroupChange::Save(row) }
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
