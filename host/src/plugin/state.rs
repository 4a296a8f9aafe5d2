//! What a plugin keeps across restarts: held in memory, so that no call waits for a disk, and written behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::sandbox::Sandbox;
use super::v0_1::state;

/// Keys that a state may have: a key costs memory beside its bytes, and the shortest ones are many.
const MOST_KEYS: usize = 10_000;

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
    values: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    /// Keys whose value is not saved, and the number of their last change.
    unsaved: BTreeMap<String, u64>,
    changes: u64,
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
        let values: BTreeMap<String, Vec<u8>> = kept.into_iter().collect();
        let bytes = values.iter().map(|(key, value)| key.len() + value.len()).sum();
        let entries = Entries { limit, values, bytes, ..Entries::default() };
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

    /// What is not saved; it stays so until [`saved`](Self::saved) is called with it.
    #[must_use]
    pub fn unsaved(&self) -> Vec<Change> {
        let entries = self.entries();
        let change = |(key, number): (&String, &u64)| Change {
            key: key.clone(),
            value: entries.values.get(key).cloned(),
            number: *number,
        };
        entries.unsaved.iter().map(change).collect()
    }

    /// These changes are on the disk.
    pub fn saved(&self, changes: &[Change]) {
        let mut entries = self.entries();
        for change in changes {
            // What was changed again meanwhile is not saved.
            if entries.unsaved.get(&change.key) == Some(&change.number) {
                entries.unsaved.remove(&change.key);
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // No change can end half done.
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), String> {
        let mut entries = self.entries();
        let had = entries.values.get(&key).map(|old| key.len() + old.len());
        let bytes = entries.bytes - had.unwrap_or_default() + key.len() + value.len();
        // What is too large after a limit was lowered may still become smaller.
        if bytes > entries.limit && bytes >= entries.bytes {
            let limit = entries.limit;
            return Err(format!(
                "the state would have {bytes} bytes, and may have {limit}: `state` in the plugin's table"
            ));
        }
        if had.is_none() && entries.values.len() >= MOST_KEYS {
            return Err(format!("the state has {MOST_KEYS} keys, and may have no more"));
        }
        entries.note(&key);
        entries.bytes = bytes;
        entries.values.insert(key, value);
        drop(entries);
        self.0.changed.notify_one();
        Ok(())
    }

    fn remove(&self, key: &str) -> bool {
        let mut entries = self.entries();
        let Some(old) = entries.values.remove(key) else { return false };
        entries.bytes -= key.len() + old.len();
        entries.note(key);
        drop(entries);
        self.0.changed.notify_one();
        true
    }
}

impl Entries {
    fn note(&mut self, key: &str) {
        self.changes += 1;
        self.unsaved.insert(key.to_owned(), self.changes);
    }
}

impl state::Host for Sandbox {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        self.state.entries().values.get(&key).cloned()
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        self.state.set(key, value)
    }

    fn remove(&mut self, key: String) -> bool {
        self.state.remove(&key)
    }

    fn keys(&mut self, prefix: String) -> Vec<String> {
        let entries = self.state.entries();
        let from = entries.values.range(prefix.clone()..);
        from.map(|(key, _)| key).take_while(|key| key.starts_with(&prefix)).cloned().collect()
    }
}

/// Of the values their number alone: they may hold anything.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries();
        f.debug_struct("State").field("keys", &entries.values.len()).field("bytes", &entries.bytes).finish()
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

    #[test]
    fn what_changes_while_it_is_saved_is_saved_again() {
        let state = State::fleeting(100);
        state.set("a".to_owned(), bytes("1")).unwrap();
        state.set("b".to_owned(), bytes("1")).unwrap();
        let first = state.unsaved();
        assert_eq!(first.len(), 2);
        state.set("a".to_owned(), bytes("2")).unwrap();
        state.remove("b");
        state.set("b".to_owned(), bytes("1")).unwrap();
        state.remove("b");
        state.saved(&first);
        let second = state.unsaved();
        let said: Vec<_> = second.iter().map(|change| (change.key.as_str(), change.value.as_deref())).collect();
        assert_eq!(said, [("a", Some(b"2".as_slice())), ("b", None)]);
        state.saved(&second);
        assert_eq!(state.unsaved(), []);
    }
}
