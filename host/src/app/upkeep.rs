//! Keeps the store small, and tells what became too old.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::own::Own;
use crate::store::{Keep, Store, StoreError};

/// How often old things are looked for.
const EVERY: Duration = Duration::from_secs(5);
/// How often is looked whether the state directory is still there: two calls of `stat`.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longer than any message is put off, also by a server that asks to be left alone. What is further away was put there by a
/// clock that has since been set back.
const LONGEST_AHEAD: Duration = Duration::from_hours(24);

/// Runs until the store is closed.
///
/// # Errors
/// The store is broken.
pub(super) async fn run(store: Store, own: Own) -> Result<(), StoreError> {
    loop {
        let now = Timestamp::now();
        store.clamp_due(now, LONGEST_AHEAD).await.or_else(pass)?;
        while let Some(kept) = store.upkeep(now, Keep::default()).await.map(Some).or_else(pass)? {
            for letter in kept.expired {
                let (id, error) = (letter.id.to_string(), letter.error.unwrap_or_default());
                tracing::error!(
                    sink = letter.sink,
                    message = id,
                    subject = letter.subject,
                    error,
                    "A message is given up."
                );
                if !letter.alarm {
                    own.dead_letter(&letter.sink, letter.id, &letter.subject, &error);
                }
            }
            for letter in kept.purged {
                tracing::warn!(
                    sink = letter.sink, message = %letter.id, subject = letter.subject, "An old dead letter is removed."
                );
            }
            if !kept.more {
                break;
            }
        }
        sleep(EVERY).await;
    }
}

/// Waits until the state directory is gone; for ever if the store is in memory. A file system that does not answer blocks a
/// thread, and nothing else.
pub(super) async fn gone(store: &Store) -> StoreError {
    loop {
        sleep(LOOK_EVERY).await;
        let store = store.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || store.check_location()).await {
            return error;
        }
    }
}

/// What passes is tried again the next time.
fn pass<T: Default>(error: StoreError) -> Result<T, StoreError> {
    if error.is_passing() { Ok(T::default()) } else { Err(error) }
}
