//! The position in an engine's stream: what was read already, and what is missing after a reconnect.
//!
//! `since` alone is no position. Times are not monotonic (measured: 2 inversions in 4,000 events, the worst 0.67 ms), an
//! engine remembers few events, and after its restart none. So a reconnect asks for a minute more than is needed and drops
//! what is known by its digest; and the last known event, the anchor, must come again. If it does not, something is missing.

use std::collections::VecDeque;

use hashbrown::HashSet;
use jiff::{SignedDuration, Timestamp};
use xxhash_rust::xxh3::xxh3_128;

use crate::event::{Event, nanos};
use crate::store::{EngineCursor, Moved};

/// How many events are known again. Docker repeats at most 256 (`eventsLimit` in moby `daemon/events/events.go`); Podman
/// reads its journal, and a minute of it should fit.
const KNOWN: usize = 4096;
/// How far before the last event a reconnect begins.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

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
    /// Digests of the last events, the oldest first.
    keys: VecDeque<u128>,
    /// Time of the event that was read last; not the latest time, or an engine whose clock was set back would repeat
    /// nothing for as long as it was set back.
    last: Option<i64>,
    replay: Option<Replay>,
    /// The anchor of an earlier run, until a connection has looked for it.
    resumed: Option<u128>,
    /// The engine no longer knows the last event, which was told as a gap; nothing came since.
    adrift: bool,
    /// Keys that were not handed on yet, see [`Cursor::moved`].
    fresh: Vec<u128>,
    scratch: Vec<u8>,
}

/// The start of a connection, when the engine repeats what it remembers.
#[derive(Debug)]
struct Replay {
    /// What must not be told again: what was known before and what this connection brought so far. An engine can send an
    /// event twice, out of its memory and live, while it enters a subscriber.
    seen: HashSet<u128>,
    /// The last event before; none when there never was one.
    anchor: Option<u128>,
    /// The engine's time when the connection was made.
    began: i64,
    /// Whether there was an earlier connection.
    again: bool,
    /// The oldest event that was not known.
    oldest: Option<i64>,
    /// How many events there were, known or not.
    count: usize,
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// Whether the last known event was missing from it.
    pub lost_anchor: bool,
    /// How many events there were, known or not.
    pub count: usize,
    /// Time of the oldest that was not known.
    pub oldest_nanos: Option<i64>,
}

impl Cursor {
    /// Goes on where an earlier run was.
    #[must_use]
    pub fn resume(known: EngineCursor) -> Self {
        let EngineCursor { last_nanos, anchor, keys, .. } = known;
        let newest = keys.len().saturating_sub(KNOWN);
        let keys: VecDeque<u128> = keys.into_iter().skip(newest).collect();
        Self { keys, last: last_nanos, resumed: anchor, adrift: anchor.is_none(), ..Self::default() }
    }

    /// How far the stream was read since the last call; none when no event came. It is to be kept together with them.
    pub fn moved(&mut self) -> Option<Moved> {
        (!self.fresh.is_empty()).then(|| self.position())
    }

    /// How far the stream was read, with the keys since the last call.
    pub fn position(&mut self) -> Moved {
        let undecided = self.replay.as_ref().and_then(|replay| replay.anchor);
        let anchor = undecided.or_else(|| self.anchor());
        Moved { engine_id: None, last_nanos: self.last, anchor, keys: std::mem::take(&mut self.fresh) }
    }

    /// What the engine must still know when it is asked the next time.
    fn anchor(&self) -> Option<u128> {
        self.keys.back().copied().filter(|_| !self.adrift)
    }

    /// Where to ask from when the engine's time is `now`: a minute before the last event, or `first` when there was none.
    /// Never in the engine's future, whatever times its events have had.
    #[must_use]
    pub fn since(&self, first: Timestamp, now: Timestamp) -> Timestamp {
        let Some(last) = self.last else { return first };
        let last = Timestamp::from_nanosecond(i128::from(last)).unwrap_or(now).min(now);
        let since = last.checked_sub(OVERLAP).unwrap_or(first);
        // What was before `first` is not wanted, unless the engine's clock was set back behind it.
        if last < first { since } else { since.max(first) }
    }

    /// Time of the event that was read last.
    #[must_use]
    pub fn last_nanos(&self) -> Option<i64> {
        self.last
    }

    /// A connection was made at `began`, in the engine's time; what it repeats begins.
    pub fn connected(&mut self, began: Timestamp, again: bool) {
        // A connection that broke while the engine repeated has decided nothing.
        let undecided = self.replay.take().and_then(|replay| replay.anchor).or(self.resumed.take());
        self.replay = Some(Replay {
            seen: self.keys.iter().copied().collect(),
            anchor: undecided.or_else(|| self.anchor()),
            began: nanos(began),
            again,
            oldest: None,
            count: 0,
        });
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

    /// The engine has repeated all it remembers. None when that was known already.
    pub fn replayed(&mut self) -> Option<Replayed> {
        let replay = self.replay.take()?;
        // It is told once. The next event is the next anchor.
        self.adrift |= replay.anchor.is_some() && replay.oldest.is_none();
        Some(Replayed { lost_anchor: replay.anchor.is_some(), count: replay.count, oldest_nanos: replay.oldest })
    }

    /// Takes note of an event, in the order of the stream.
    pub fn take(&mut self, event: &Event) -> Verdict {
        let key = self.key(event);
        let mut verdict = Verdict::New;
        if let Some(replay) = &mut self.replay {
            replay.count += 1;
            if replay.anchor == Some(key) {
                replay.anchor = None;
            }
            if !replay.seen.insert(key) {
                return Verdict::Known;
            }
            replay.oldest = Some(replay.oldest.map_or(event.time_nanos, |oldest| oldest.min(event.time_nanos)));
            if replay.again && event.time_nanos < replay.began {
                verdict = Verdict::Late;
            }
        }
        if self.keys.len() == KNOWN {
            self.keys.pop_front();
        }
        self.keys.push_back(key);
        self.fresh.push(key);
        self.adrift = false;
        self.last = Some(event.time_nanos);
        verdict
    }

    /// Whether an event with this key was read lately.
    #[must_use]
    pub fn knows(&self, key: u128) -> bool {
        self.keys.contains(&key)
    }

    /// The key of the event that was read last.
    #[must_use]
    pub fn newest(&self) -> Option<u128> {
        self.keys.back().copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, seconds: i64) -> Event {
        Event {
            attributes: [("name", name)].into_iter().collect(),
            time_nanos: seconds * 1_000_000_000,
            ..Event::default()
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// A cursor that has read `a` at 100 s and was connected again at 200 s.
    fn again() -> Cursor {
        let mut cursor = Cursor::default();
        cursor.connected(at(50), false);
        cursor.take(&event("a", 100));
        assert_eq!(
            cursor.replayed(),
            Some(Replayed { lost_anchor: false, count: 1, oldest_nanos: Some(100_000_000_000) })
        );
        cursor.connected(at(200), true);
        cursor
    }

    #[test]
    fn a_reconnect_asks_for_a_minute_before_the_last_event() {
        let cursor = again();
        assert_eq!(cursor.since(at(10), at(200)), at(40));
        assert_eq!(cursor.since(at(90), at(200)), at(90), "never for what was before the start");
        assert_eq!(cursor.since(at(10), at(80)), at(20), "never in the engine's future");
        assert_eq!(cursor.since(at(150), at(200)), at(40), "the clock was set back behind the start");
        assert_eq!(Cursor::default().since(at(10), at(200)), at(10));
    }

    #[test]
    fn what_is_repeated_is_known_and_what_is_not_is_late() {
        let mut cursor = again();
        assert_eq!(cursor.take(&event("a", 100)), Verdict::Known);
        assert_eq!(cursor.take(&event("b", 150)), Verdict::Late);
        assert_eq!(cursor.take(&event("c", 200)), Verdict::New);
        assert_eq!(cursor.take(&event("c", 200)), Verdict::Known, "out of the memory and live");
        assert!(!cursor.replayed().unwrap().lost_anchor);
        assert_eq!(cursor.replayed(), None);
    }

    #[test]
    fn a_replay_without_the_last_known_event_has_lost_something() {
        let mut cursor = again();
        cursor.take(&event("b", 150));
        let replayed = cursor.replayed().unwrap();
        assert_eq!(replayed, Replayed { lost_anchor: true, count: 1, oldest_nanos: Some(150_000_000_000) });
    }

    #[test]
    fn a_replay_that_broke_off_has_decided_nothing() {
        let mut cursor = again();
        cursor.take(&event("b", 150));
        cursor.connected(at(300), true);
        cursor.take(&event("b", 150));
        assert!(cursor.replayed().unwrap().lost_anchor, "`a` is still missing");
    }

    #[test]
    fn a_replay_ends_with_the_first_event_that_is_surely_new() {
        let cursor = again();
        assert!(!cursor.ends_replay(&event("b", 201)), "the clock is known to a second");
        assert!(cursor.ends_replay(&event("b", 202)));
    }

    #[test]
    fn what_the_engine_forgot_is_told_once_however_often_the_program_starts_again() {
        let mut cursor = again();
        assert!(cursor.replayed().unwrap().lost_anchor);
        let kept = cursor.position();
        let known = EngineCursor { last_nanos: kept.last_nanos, anchor: kept.anchor, keys: vec![1], engine_id: None };
        for mut cursor in [cursor, Cursor::resume(known)] {
            cursor.connected(at(400), true);
            assert!(!cursor.replayed().unwrap().lost_anchor);
            cursor.take(&event("b", 401));
            assert!(cursor.position().anchor.is_some());
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut cursor = Cursor::default();
        for second in 0..10_000 {
            assert_eq!(cursor.take(&event("a", second)), Verdict::New);
        }
        assert_eq!(cursor.keys.len(), KNOWN);
    }

    #[test]
    fn every_part_of_an_event_is_part_of_its_key() {
        let mut cursor = Cursor::default();
        let base = Event { detail: "ab".into(), actor_id: "c".to_owned(), ..event("a", 1) };
        let mut others = vec![base.clone(); 7];
        others[0].detail = "a".into();
        others[0].actor_id = "bc".to_owned();
        others[1].time_nanos += 1;
        others[2].kind = "x".into();
        others[3].action = "x".into();
        others[4].scope = "x".into();
        others[5].attributes = [("name", "x")].into_iter().collect();
        others[6].attributes.push("x", "");
        let key = cursor.key(&base);
        assert_eq!(cursor.key(&base.clone()), key);
        for other in others {
            assert_ne!(cursor.key(&other), key, "{other:?}");
        }
    }
}
