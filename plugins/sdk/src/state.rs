//! What the plugin keeps across restarts.
//!
//! The user grants it by a line in the plugin's table, such as `state = "64 KiB"`; a plugin that calls one of these functions
//! is refused without it. Each route has a state of its own. It survives a failed call, and is on the disk about a second after
//! a change; after a restart the plugin may be called again with events that it has seen.
//!
//! In native tests the state is one of the test's thread, empty at its start.
//!
//! ```
//! use dockbell_plugin::state;
//!
//! state::set("seen", b"3").unwrap();
//! assert_eq!(state::get("seen").as_deref(), Some(b"3".as_slice()));
//! ```

#[cfg(target_family = "wasm")]
use crate::bindings::state as host;
#[cfg(not(target_family = "wasm"))]
use native as host;

/// The value of a key, if it has one.
#[must_use]
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::get(key)
}

/// Gives a key a value.
///
/// # Errors
/// It does not fit: all keys and values together may have as many bytes as the user grants, in at most 10,000 keys. Then
/// nothing has changed.
pub fn set(key: &str, value: &[u8]) -> Result<(), String> {
    host::set(key, value)
}

/// Removes a key; `false` where there was none.
pub fn remove(key: &str) -> bool {
    host::remove(key)
}

/// The keys that begin with this, sorted; with an empty text all keys.
#[must_use]
pub fn keys(prefix: &str) -> Vec<String> {
    host::keys(prefix)
}

/// Stands in for dockbell in native tests.
#[cfg(not(target_family = "wasm"))]
mod native {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    thread_local! {
        static STATE: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) fn get(key: &str) -> Option<Vec<u8>> {
        STATE.with_borrow(|state| state.get(key).cloned())
    }

    pub(super) fn set(key: &str, value: &[u8]) -> Result<(), String> {
        STATE.with_borrow_mut(|state| state.insert(key.to_owned(), value.to_owned()));
        Ok(())
    }

    pub(super) fn remove(key: &str) -> bool {
        STATE.with_borrow_mut(|state| state.remove(key).is_some())
    }

    pub(super) fn keys(prefix: &str) -> Vec<String> {
        STATE.with_borrow(|state| state.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_there_until_it_is_removed() {
        assert_eq!(keys(""), Vec::<String>::new());
        set("b", b"1").unwrap();
        set("a1", b"2").unwrap();
        set("a1", b"3").unwrap();
        assert_eq!(
            (get("a1").as_deref(), keys("a"), keys("")),
            (Some(b"3".as_slice()), vec!["a1".to_owned()], vec!["a1".to_owned(), "b".to_owned()])
        );
        assert!(remove("b") && !remove("b"));
        assert_eq!(get("b"), None);
    }
}
