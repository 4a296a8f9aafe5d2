//! The position in an engine's stream: what was read already, and what is missing after a reconnect.
//!
//! `since` alone is no position. Times are not monotonic (measured: 2 inversions in 4,000 events, the worst 0.67 ms), an
//! engine remembers few events, and after its restart none. So a reconnect asks for a minute more than is needed and drops
//! what is known by its digest; and the last known event, the anchor, must come again. If it does not, something is missing. Nor
//! may all that an engine remembers begin with an unknown event: what came before that one is forgotten.
//!
//! Until that is decided, the gap is part of the position, so that a program that is killed meanwhile decides it at its next
//! start, with the same times.

use std::collections::VecDeque;

use hashbrown::HashSet;
use jiff::{SignedDuration, Timestamp};
use xxhash_rust::xxh3::xxh3_128;

use crate::event::{Event, nanos};
use crate::store::{EngineCursor, Moved, OpenGap};

/// How many events are known again. Docker repeats at most 256 (`eventsLimit` in moby `daemon/events/events.go`); Podman
/// reads its journal, and a minute of it should fit.
const KNOWN: usize = 4096;
/// How far before the last event a reconnect begins.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// The time of an event of an earlier run, of which the key alone was kept.
const UNKNOWN_TIME: i64 = i64::MAX;

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It just happened.
    New,
    /// It happened while there was no connection.
    Late,
    /// It was told before.
    Known,
}

/// The position in the stream of one engine.
#[derive(Debug, Default)]
pub struct Cursor {
    /// Digests and times of the last events, the oldest first.
    known: VecDeque<(u128, i64)>,
    /// Time of the event that was read last; not the latest time, or an engine whose clock was set back would repeat
    /// nothing for as long as it was set back.
    last: Option<i64>,
    /// Up to this time nothing is missing, or it was reported: the time of the last event, or later where that was checked.
    sure: Option<i64>,
    /// Set while events may be missing, until a connection has shown whether any are.
    open: Option<Open>,
    replay: Option<Replay>,
    /// The engine no longer knows the last event, which was told as a gap; nothing came since.
    adrift: bool,
    /// Keys that were not handed on yet, see [`Cursor::moved`].
    fresh: Vec<u128>,
    /// Keys of events that an audit has found, in case the stream brings them after all.
    recovered: HashSet<u128>,
    scratch: Vec<u8>,
}

/// A gap that is not decided.
#[derive(Debug, Clone, Copy)]
struct Open {
    gap: OpenGap,
    /// The last event before it: if the engine repeats that one, nothing is missing. `None` if there never was one.
    anchor: Option<u128>,
}

/// The start of a connection, when the engine repeats what it remembers.
#[derive(Debug)]
struct Replay {
    /// What must not be told again: what was known before and what this connection brought so far. An engine can send an
    /// event twice, out of its memory and live, while it enters a subscriber.
    seen: HashSet<u128>,
    /// The event that must still come.
    awaited: Option<u128>,
    /// Whether that event, when it comes, shows that nothing is missing.
    proves: bool,
    /// The engine's time when the connection was made.
    began: i64,
    /// Whether there was an earlier connection.
    again: bool,
    /// Time of the oldest event that was not known.
    oldest: Option<i64>,
    /// Key and time of the last event, known or not.
    newest: Option<(u128, i64)>,
    /// How many events there were, known or not.
    count: usize,
}

/// What a replay has shown of the time before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing was to be shown any more: the connection was the first one, or the last known event came again.
    Nothing,
    /// Nothing is missing, which the stored position does not say yet.
    Whole,
    /// Nothing shows that something is missing, nor that nothing is: no event was known before, and the engine may have been
    /// restarted.
    Unproven(OpenGap),
    /// Events are missing.
    Missing(OpenGap),
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// What it has shown.
    pub finding: Finding,
    /// How many events there were, known or not.
    pub count: usize,
    /// Time of the oldest that was not known.
    pub oldest_nanos: Option<i64>,
}

impl Cursor {
    /// Goes on where an earlier run was.
    #[must_use]
    pub fn resume(position: EngineCursor) -> Self {
        let EngineCursor { last_nanos, anchor, keys, gap, .. } = position;
        let older = keys.len().saturating_sub(KNOWN);
        let known = keys.into_iter().skip(older).map(|key| (key, UNKNOWN_TIME)).collect();
        // With a gap that was open, the last event of then is the least that must come again.
        let adrift = anchor.is_none() && gap.is_none();
        let gap = gap.or(last_nanos.map(|from| OpenGap { from, to: None }));
        let open = gap.map(|gap| Open { gap, anchor });
        Self { known, last: last_nanos, open, adrift, ..Self::default() }
    }

    /// How far the stream was read since the last call; none when no event came. It is to be kept together with them.
    pub fn moved(&mut self) -> Option<Moved> {
        (!self.fresh.is_empty()).then(|| self.position())
    }

    /// How far the stream was read, with the keys since the last call.
    pub fn position(&mut self) -> Moved {
        let anchor = self.open.map_or_else(|| self.anchor(), |open| open.anchor);
        let keys = std::mem::take(&mut self.fresh);
        // Where no event was read yet, the next run begins where this one is.
        let last_nanos = self.last.or(self.sure);
        Moved { engine_id: None, last_nanos, anchor, keys, gap: self.open.map(|open| open.gap) }
    }

    /// What the engine must still know when it is asked the next time.
    fn anchor(&self) -> Option<u128> {
        self.newest().filter(|_| !self.adrift)
    }

    /// Where to ask from when the engine's time is `now`: a minute before the last event, or `first` when there was none.
    /// Never in the engine's future, whatever times its events have had.
    #[must_use]
    pub fn since(&self, first: Timestamp, now: Timestamp) -> Timestamp {
        let Some(last) = self.last else { return first };
        // All that may show whether something is missing.
        let last = self.open.map_or(last, |open| open.gap.from.min(last));
        let last = Timestamp::from_nanosecond(last.into()).unwrap_or(now).min(now);
        let since = last.checked_sub(OVERLAP).unwrap_or(first);
        // What was before `first` is not wanted, unless the engine's clock was set back behind it.
        if last < first { since } else { since.max(first) }
    }

    /// Returns since when events may be missing, else the time of the last event.
    #[must_use]
    pub fn sure_until(&self) -> Option<i64> {
        self.open.map(|open| open.gap.from).or(self.last)
    }

    /// Time of the event that was read last.
    #[must_use]
    pub fn last_nanos(&self) -> Option<i64> {
        self.last
    }

    /// Returns the time of the last event that was read and is older than this.
    #[must_use]
    pub fn before(&self, nanos: i64) -> Option<i64> {
        older(&self.known, nanos)
    }

    /// Takes note that the stream has brought all up to this time.
    pub fn complete_until(&mut self, time: Timestamp) {
        if self.open.is_none() {
            self.sure = Some(nanos(time));
        }
    }

    /// Takes note that the connection ended, at `now` in the engine's time: from here on events may be missing.
    pub fn disconnected(&mut self, now: Timestamp) {
        let new = Open { gap: OpenGap { from: self.sure.unwrap_or(nanos(now)), to: None }, anchor: self.anchor() };
        self.open.get_or_insert(new);
        self.replay = None;
    }

    /// A connection was made at `began`, in the engine's time; what it repeats begins.
    pub fn connected(&mut self, began: Timestamp, again: bool) {
        let anchor = self.open.and_then(|open| open.anchor);
        let (awaited, proves) = (anchor.or_else(|| self.anchor()), anchor.is_some());
        let seen = self.known.iter().map(|(key, _)| *key).collect();
        let began = nanos(began);
        self.sure.get_or_insert(began);
        self.replay = Some(Replay { seen, awaited, proves, began, again, oldest: None, newest: None, count: 0 });
    }

    /// Whether the engine may still be repeating.
    #[must_use]
    pub fn replaying(&self) -> bool {
        self.replay.is_some()
    }

    /// Whether an event surely happened after the connection was made: all that the engine repeats comes before it. The
    /// time of the connection is known to a second (the engine's `Date`); another is for the time that connecting takes.
    #[must_use]
    pub fn ends_replay(&self, event: &Event) -> bool {
        self.replay.as_ref().is_some_and(|replay| event.time_nanos >= replay.began.saturating_add(2_000_000_000))
    }

    /// The engine has repeated all it remembers, which is so many events at most; none when that was known already.
    pub fn replayed(&mut self, remembers: Option<usize>) -> Option<Replayed> {
        let Replay { awaited, proves, began, oldest, newest, count, .. } = self.replay.take()?;
        let full = remembers.is_some_and(|most| count >= most);
        let finding = self.open.take().map_or(Finding::Nothing, |Open { gap, .. }| {
            let until = OpenGap { to: gap.to.or(oldest), ..gap };
            match awaited {
                Some(_) => Finding::Missing(until),
                None if full && gap.to.is_some() => Finding::Missing(until),
                None if proves => Finding::Whole,
                None => Finding::Unproven(until),
            }
        });
        self.sure = Some(newest.map_or(began, |(_, time)| time.max(began)));
        // It is told once. The next event is the next anchor.
        self.adrift |= matches!(finding, Finding::Missing(_)) && newest.map(|(key, _)| key) != self.newest();
        Some(Replayed { finding, count, oldest_nanos: oldest })
    }

    /// Takes note of an event, in the order of the stream.
    pub fn take(&mut self, event: &Event) -> Verdict {
        let (key, time) = (self.key(event), event.time_nanos);
        if self.replay.is_none() && !self.recovered.is_empty() && self.recovered.remove(&key) {
            return Verdict::Known;
        }
        let mut verdict = Verdict::New;
        if let Some(replay) = &mut self.replay {
            replay.count += 1;
            replay.newest = Some((key, time));
            let known = !replay.seen.insert(key);
            if replay.count == 1
                && !known
                && let Some(Open { gap: gap @ OpenGap { to: None, .. }, .. }) = &mut self.open
            {
                gap.to = Some(time);
                if time < gap.from {
                    // The stream went on behind what it skipped.
                    gap.from = older(&self.known, time).unwrap_or(time);
                }
            }
            if replay.awaited == Some(key) {
                replay.awaited = None;
                // What follows it in the engine's memory is complete; what came before may not be.
                self.open = self.open.filter(|open| open.gap.to.is_some()).map(|open| Open { anchor: None, ..open });
            }
            if known {
                return Verdict::Known;
            }
            replay.oldest = Some(replay.oldest.map_or(time, |oldest| oldest.min(time)));
            if replay.again && time < replay.began {
                verdict = Verdict::Late;
            }
        }
        self.make_room();
        self.known.push_back((key, time));
        self.fresh.push(key);
        self.adrift = false;
        (self.last, self.sure) = (Some(time), Some(time));
        verdict
    }

    /// Takes note of events that the stream has not brought and an audit has found. The position stays where the stream is.
    pub fn recover<'a>(&mut self, events: impl Iterator<Item = &'a Event>) {
        if self.recovered.len() > KNOWN {
            self.recovered.clear();
        }
        for event in events {
            let (key, time) = (self.key(event), event.time_nanos);
            self.recovered.insert(key);
            self.make_room();
            match self.known.back() {
                Some((_, newest)) if *newest > time => self.known.insert(self.known.len() - 1, (key, time)),
                _ => {
                    self.known.push_back((key, time));
                    (self.last, self.adrift) = (Some(time), false);
                }
            }
            self.fresh.push(key);
        }
    }

    fn make_room(&mut self) {
        if self.known.len() == KNOWN {
            self.known.pop_front();
        }
    }

    /// Returns the keys of the events that were read lately, 4,096 at most.
    #[must_use]
    pub fn keys(&self) -> HashSet<u128> {
        self.known.iter().map(|(key, _)| *key).collect()
    }

    /// The key of the event that was read last.
    #[must_use]
    pub fn newest(&self) -> Option<u128> {
        self.known.back().map(|(key, _)| *key)
    }

    /// The digest of an event: of what it says, not of its line, whose old fields come and go with the API version.
    pub fn key(&mut self, event: &Event) -> u128 {
        let bytes = &mut self.scratch;
        bytes.clear();
        bytes.extend_from_slice(&event.time_nanos.to_le_bytes());
        let texts: [&str; 5] = [&event.kind, &event.action, &event.detail, &event.actor_id, &event.scope];
        let pairs = event.attributes.iter().flat_map(|(name, value)| [name, value]);
        for text in texts.into_iter().chain(pairs) {
            // Its length first, so that two neighbours cannot be cut in another place.
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        xxh3_128(bytes)
    }
}

/// Time of the last of these that is older than this.
fn older(known: &VecDeque<(u128, i64)>, nanos: i64) -> Option<i64> {
    known.iter().rev().map(|(_, time)| *time).find(|time| *time < nanos)
}

#[cfg(test)]
mod tests;
