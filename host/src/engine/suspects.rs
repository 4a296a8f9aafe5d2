//! What the engine remembers and the stream has not brought: it may still be on its way, or was dropped.
//!
//! An event was dropped when the stream has brought one that the engine remembers behind it, or nothing at all, for a while.
//! Times decide nothing: a stream may be minutes behind, and the engine's clock may be set back.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::audit::{Answer, LARGEST};
use super::cursor::Cursor;
use crate::event::{Event, nanos};
use crate::store::Gap;

/// How long an event may still come after it was found missing, and after one that was behind it. Publishers of an engine wait
/// for each other 100 ms at most.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// Events that the engine remembers and the stream has not brought so far, of one audit or several.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    events: HashMap<u128, Suspect>,
    /// The place of each event in the engine's order, by key.
    places: HashMap<u128, u64>,
    /// How many places there were.
    placed: u64,
    /// The last place that the stream has brought, and where that was a while ago.
    passed: u64,
    settled: u64,
    bytes: usize,
    /// A time in which events were perhaps dropped that the engine no longer remembers.
    unproven: Option<Gap>,
    /// From when on the engine was asked the first time.
    since: i64,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Suspect {
    event: Event,
    line: Vec<u8>,
    place: u64,
    found: Instant,
    /// Whether the engine may have forgotten others right before it.
    is_edge: bool,
}

/// What the stream has skipped.
#[derive(Debug)]
pub(super) struct Skipped {
    /// The events that the engine still knew, with their lines, the earliest first.
    pub(super) events: Vec<(Event, Vec<u8>)>,
    /// From when on the engine was asked.
    pub(super) since: i64,
    /// Time before which more was skipped, perhaps, that the engine no longer remembers.
    pub(super) forgotten_until: Option<i64>,
    /// A time of which it is not known whether more was skipped in it.
    pub(super) unproven: Option<Gap>,
}

impl Suspects {
    /// Adds what the cursor does not know. Returns whether something is missing, or may be.
    pub(super) fn add(&mut self, answer: Answer, cursor: &mut Cursor) -> bool {
        let now = Instant::now();
        let open = self.is_open();
        if !open {
            self.since = nanos(answer.since);
        }
        let known = cursor.keys();
        let mut found = false;
        if let Some(gap) = answer.unproven {
            self.unproven = Some(self.unproven.map_or(gap, |before| before.and(gap)));
            found = true;
        }
        let mut places = HashMap::with_capacity(answer.events.len());
        for (index, (event, line)) in answer.events.into_iter().enumerate() {
            let key = cursor.key(&event);
            let place = self.places.get(&key).copied().unwrap_or(self.placed + 1);
            self.placed = self.placed.max(place);
            places.insert(key, place);
            if known.contains(&key) {
                self.passed = self.passed.max(place);
            } else if !self.events.contains_key(&key) {
                self.bytes += event.weight() + line.len();
                let is_edge = answer.forgot && index == 0;
                self.events.insert(key, Suspect { event, line, place, found: now, is_edge });
                found = true;
            }
        }
        // What was before those is passed if these are.
        places.extend(self.events.iter().map(|(key, one)| (*key, one.place)));
        self.places = places;
        if !self.is_open() {
            *self = Self::default();
        } else if !open {
            self.settled = self.passed;
            self.due = Some(now + GRACE);
        }
        found
    }

    /// Whether there is something to decide.
    pub(super) fn is_open(&self) -> bool {
        !self.events.is_empty() || self.unproven.is_some()
    }

    /// Whether it takes so much memory that nothing may be added.
    pub(super) fn is_heavy(&self) -> bool {
        self.bytes as u64 > LARGEST
    }

    /// The stream has brought an event.
    pub(super) fn brought(&mut self, key: u128) {
        if let Some(place) = self.places.get(&key) {
            self.passed = self.passed.max(*place);
            self.remove(key);
        }
    }

    /// When to decide.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Decides; `idle` if the stream has brought nothing for as long as [`GRACE`].
    pub(super) fn decide(&mut self, idle: bool) -> Option<Skipped> {
        let now = Instant::now();
        let all = idle || self.is_heavy();
        let is_skipped = |one: &Suspect| now - one.found >= GRACE && (all || one.place < self.settled);
        let keys: Vec<u128> = self.events.iter().filter(|(_, one)| is_skipped(one)).map(|(key, _)| *key).collect();
        let mut skipped: Vec<Suspect> = keys.into_iter().filter_map(|key| self.remove(key)).collect();
        skipped.sort_by_key(|one| one.event.time_nanos);
        let unproven = self.unproven.take();
        let since = self.since;
        self.settled = self.passed;
        self.due = Some(now + GRACE);
        if !self.is_open() {
            *self = Self::default();
        }
        if skipped.is_empty() && unproven.is_none() {
            return None;
        }
        let forgotten_until = skipped.iter().filter(|one| one.is_edge).map(|one| one.event.time_nanos).max();
        let events = skipped.into_iter().map(|one| (one.event, one.line)).collect();
        Some(Skipped { events, since, forgotten_until, unproven })
    }

    fn remove(&mut self, key: u128) -> Option<Suspect> {
        let one = self.events.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(one.event.weight() + one.line.len());
        Some(one)
    }
}
