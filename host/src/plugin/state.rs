//! What a plugin keeps across restarts: held in memory, so that no call waits for a disk, and written behind it.
//!
//! A key that was removed is held until its removal is written, so both are bounded: what has a value by the size that is
//! granted and [`MOST_KEYS`], and that together with what was removed by twice as much. Only a new value can exceed these
//! bounds, since a removal never makes more of what is held; it is refused through the interface.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::sandbox::Sandbox;
use super::v0_1::state;

/// Keys that a state may have: a key costs memory beside its bytes, and the shortest ones are many.
const MOST_KEYS: usize = 10_000;
/// How much more is held than has a value: what was removed and is not yet written counts up to the bounds once more.
const WITH_REMOVED: usize = 2;
/// What a change counts in a transaction beside its bytes: a row costs time, however short it is.
const CHANGE_BYTES: usize = 128;

/// The state of one plugin in one route. Clones are the same state.
#[derive(Clone)]
pub struct State(Arc<Shared>);

struct Shared {
    entries: Mutex<Entries>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Entries {
    /// Bytes of keys and values together that there may be.
    limit: usize,
    all: BTreeMap<String, Entry>,
    live: Size,
    removed: Size,
    changes: u64,
}

struct Entry {
    /// None where it was removed and the store may still have it.
    value: Option<Vec<u8>>,
    /// The number of its last change, unless that is saved.
    unsaved: Option<u64>,
    /// Whether the store may have the key: it was read from there, or handed out to be written.
    is_stored: bool,
}

/// Keys, and bytes of keys and values.
#[derive(Clone, Copy, Default)]
struct Size {
    keys: usize,
    bytes: usize,
}

/// A change that is to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its value; none where it was removed.
    pub value: Option<Vec<u8>>,
    /// The number of the change in its state.
    number: u64,
}

impl State {
    /// A state of at most `limit` bytes that holds what was kept; `changed` hears of each change. What was kept under a
    /// larger limit stays.
    #[must_use]
    pub fn new(limit: usize, kept: impl IntoIterator<Item = (String, Vec<u8>)>, changed: Arc<Notify>) -> Self {
        let mut entries = Entries { limit, ..Entries::default() };
        for (key, value) in kept {
            entries.live.add(key.len() + value.len());
            entries.all.insert(key, Entry { value: Some(value), unsaved: None, is_stored: true });
        }
        Self(Arc::new(Shared { entries: Mutex::new(entries), changed }))
    }

    /// An empty state that nobody saves.
    #[must_use]
    pub fn fleeting(limit: usize) -> Self {
        Self::new(limit, [], Arc::default())
    }

    /// From now on it may have so many bytes. What it has stays, also where that is more.
    pub fn set_limit(&self, limit: usize) {
        self.entries().limit = limit;
    }

    /// The number of the last change, for [`unsaved`](Self::unsaved).
    #[must_use]
    pub fn last_change(&self) -> u64 {
        self.entries().changes
    }

    /// Returns changes up to the one with the number `until` that are not saved, and takes their size from `room`; more are
    /// left for the next call once there is no room. They stay unsaved until [`saved`](Self::saved) is called with them.
    #[must_use]
    pub fn unsaved(&self, until: u64, room: &mut usize) -> Vec<Change> {
        let mut changes = Vec::new();
        for (key, entry) in &mut self.entries().all {
            let Some(number) = entry.unsaved.filter(|number| *number <= until) else { continue };
            if *room == 0 {
                break;
            }
            *room = room.saturating_sub(CHANGE_BYTES + key.len() + entry.value.as_ref().map_or(0, Vec::len));
            entry.is_stored = true;
            changes.push(Change { key: key.clone(), value: entry.value.clone(), number });
        }
        changes
    }

    /// These changes are on the disk.
    pub fn saved(&self, changes: &[Change]) {
        let mut entries = self.entries();
        for Change { key, value, number } in changes {
            // What was changed again meanwhile is not saved.
            let Some(entry) = entries.all.get_mut(key).filter(|entry| entry.unsaved == Some(*number)) else { continue };
            entry.unsaved = None;
            if value.is_none() {
                entries.all.remove(key);
                entries.removed.take(key.len());
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // No change can end half done.
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), String> {
        self.entries().set(key, value)?;
        self.0.changed.notify_one();
        Ok(())
    }

    fn remove(&self, key: &str) -> bool {
        let was_there = self.entries().remove(key);
        if was_there {
            self.0.changed.notify_one();
        }
        was_there
    }
}

impl Entries {
    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        let (mut live, mut removed) = (self.live, self.removed);
        let old = self.all.get(&key);
        match old.map(|entry| &entry.value) {
            Some(Some(value)) => live.take(key.len() + value.len()),
            Some(None) => removed.take(key.len()),
            None => {}
        }
        live.add(key.len() + value.len());
        self.check(live, removed)?;
        let is_stored = old.is_some_and(|entry| entry.is_stored);
        (self.live, self.removed) = (live, removed);
        self.changes += 1;
        self.all.insert(key, Entry { value: Some(value), unsaved: Some(self.changes), is_stored });
        Ok(())
    }

    /// Whether there may be so much. What is too large after a limit was lowered may still become smaller.
    fn check(&self, live: Size, removed: Size) -> Result<(), String> {
        let limit = self.limit;
        if live.bytes > limit && live.bytes >= self.live.bytes {
            return Err(format!(
                "the state would have {} bytes, and may have {limit}: `state` in the plugin's table",
                live.bytes
            ));
        }
        if live.keys > MOST_KEYS && live.keys > self.live.keys {
            return Err(format!("the state has {MOST_KEYS} keys, and may have no more"));
        }
        let (all, before) = (live.and(removed), self.live.and(self.removed));
        let is_full = all.bytes > limit.saturating_mul(WITH_REMOVED) && all.bytes > before.bytes
            || all.keys > MOST_KEYS * WITH_REMOVED && all.keys > before.keys;
        if is_full {
            return Err(format!(
                "the state has {} removed keys that are not on the disk yet, and may have no more: they are written about \
                 once a second",
                removed.keys
            ));
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) -> bool {
        let Some(entry) = self.all.get_mut(key) else { return false };
        let Some(old) = entry.value.take() else { return false };
        self.live.take(key.len() + old.len());
        if entry.is_stored {
            self.changes += 1;
            entry.unsaved = Some(self.changes);
            self.removed.add(key.len());
        } else {
            self.all.remove(key);
        }
        true
    }
}

impl Size {
    const fn add(&mut self, bytes: usize) {
        self.keys += 1;
        self.bytes += bytes;
    }

    const fn take(&mut self, bytes: usize) {
        self.keys -= 1;
        self.bytes -= bytes;
    }

    const fn and(self, other: Self) -> Self {
        Self { keys: self.keys + other.keys, bytes: self.bytes + other.bytes }
    }
}

impl state::Host for Sandbox {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        self.state.entries().all.get(&key)?.value.clone()
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        self.state.set(key, value)
    }

    fn remove(&mut self, key: String) -> bool {
        self.state.remove(&key)
    }

    fn keys(&mut self, prefix: String) -> Vec<String> {
        let entries = self.state.entries();
        let from = entries.all.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        from.filter(|(_, entry)| entry.value.is_some()).map(|(key, _)| key.clone()).collect()
    }
}

/// Of the values their number alone: they may hold anything.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries();
        f.debug_struct("State").field("keys", &entries.live.keys).field("bytes", &entries.live.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let state = State::fleeting(10);
        assert_eq!(state.set("abc".to_owned(), bytes("1234567")), Ok(()));
        assert!(state.set("d".to_owned(), Vec::new()).unwrap_err().contains("11 bytes, and may have 10"));
        assert!(state.set("abc".to_owned(), bytes("12345678")).is_err());
        assert_eq!(state.set("abc".to_owned(), bytes("123456")), Ok(()));
        assert_eq!(state.set("d".to_owned(), Vec::new()), Ok(()));
        assert!(state.remove("abc") && !state.remove("abc"));
        assert_eq!(state.set("d".to_owned(), bytes("123456789")), Ok(()));
    }

    #[test]
    fn what_was_kept_under_a_larger_limit_stays_and_may_shrink() {
        let state = State::new(4, [("key".to_owned(), bytes("long value"))], Arc::default());
        assert!(state.set("key".to_owned(), bytes("long walue")).is_err());
        assert!(state.set("new".to_owned(), Vec::new()).is_err());
        assert_eq!(state.set("key".to_owned(), bytes("shorter")), Ok(()));
        assert_eq!(state.set("key".to_owned(), bytes("x")), Ok(()));
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let state = State::fleeting(1 << 20);
        for key in 0..MOST_KEYS {
            assert_eq!(state.set(key.to_string(), Vec::new()), Ok(()));
        }
        assert!(state.set("one more".to_owned(), Vec::new()).is_err());
        assert_eq!(state.set("0".to_owned(), bytes("an old one")), Ok(()));
    }

    /// All that is not saved.
    fn unsaved(state: &State) -> Vec<Change> {
        let mut room = usize::MAX;
        state.unsaved(state.last_change(), &mut room)
    }

    #[test]
    fn what_changes_while_it_is_saved_is_saved_again() {
        let state = State::fleeting(100);
        state.set("a".to_owned(), bytes("1")).unwrap();
        state.set("b".to_owned(), bytes("1")).unwrap();
        let first = unsaved(&state);
        assert_eq!(first.len(), 2);
        state.set("a".to_owned(), bytes("2")).unwrap();
        state.remove("b");
        state.set("b".to_owned(), bytes("1")).unwrap();
        state.remove("b");
        state.saved(&first);
        let second = unsaved(&state);
        let said: Vec<_> = second.iter().map(|change| (change.key.as_str(), change.value.as_deref())).collect();
        assert_eq!(said, [("a", Some(b"2".as_slice())), ("b", None)]);
        state.saved(&second);
        assert_eq!(unsaved(&state), []);
    }

    #[test]
    fn a_key_that_never_reached_the_store_leaves_nothing_when_it_is_removed() {
        let state = State::fleeting(100);
        for number in 0..3 * MOST_KEYS {
            state.set(number.to_string(), bytes("x")).unwrap();
            assert!(state.remove(&number.to_string()));
        }
        assert!(state.entries().all.is_empty());
        assert_eq!(unsaved(&state), []);
    }

    #[test]
    fn what_was_removed_counts_until_it_is_saved() {
        let key = |number: usize| format!("{number:08}");
        let state = State::fleeting(80);
        let fill = |from: usize| (from..from + 10).try_for_each(|number| state.set(key(number), Vec::new()));
        let clear = |from: usize| (from..from + 10).for_each(|number| assert!(state.remove(&key(number))));
        fill(0).unwrap();
        // The store is about to have them.
        assert_eq!(unsaved(&state).len(), 10);
        clear(0);
        fill(10).unwrap();
        assert_eq!(unsaved(&state).len(), 20);
        clear(10);
        assert!(fill(20).unwrap_err().contains("20 removed keys that are not on the disk yet"));
        assert_eq!(state.set(key(0), Vec::new()), Ok(()), "a key that was removed takes no more than before");
        state.remove(&key(0));
        let changes = unsaved(&state);
        assert!(changes.len() == 20 && changes.iter().all(|change| change.value.is_none()));
        state.saved(&changes);
        assert!(state.entries().all.is_empty());
        fill(20).unwrap();
    }

    #[test]
    fn the_number_of_removed_keys_is_bounded() {
        let state = State::fleeting(1 << 20);
        for from in [0, MOST_KEYS] {
            (from..from + MOST_KEYS).for_each(|number| state.set(number.to_string(), Vec::new()).unwrap());
            let _ = unsaved(&state);
            (from..from + MOST_KEYS).for_each(|number| assert!(state.remove(&number.to_string())));
        }
        assert!(state.set("one more".to_owned(), Vec::new()).unwrap_err().contains("20000 removed keys"));
    }

    #[test]
    fn changes_are_handed_out_in_parts_and_newer_ones_later() {
        let state = State::fleeting(1 << 20);
        (0..100).for_each(|number| state.set(format!("{number:02}"), vec![0; 1_000]).unwrap());
        let until = state.last_change();
        state.set("99".to_owned(), bytes("newer")).unwrap();
        let mut parts = Vec::new();
        loop {
            let part = state.unsaved(until, &mut 10_000);
            state.saved(&part);
            if part.is_empty() {
                break;
            }
            parts.push(part.len());
        }
        assert_eq!(parts, [vec![9; 11]].concat());
        assert_eq!(unsaved(&state).len(), 1);
    }
}
