//! Keeps the store small, and tells what became too old.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::own::Own;
use crate::store::{GaveWay, Keep, Store, StoreError};

/// How often old things are looked for.
const EVERY: Duration = Duration::from_secs(5);
/// How often is looked whether the state directory is still there: two calls of `stat`.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longer than any message is put off, also by a server that asks to be left alone. What is further away was put there by a
/// clock that has since been set back.
const LONGEST_AHEAD: Duration = Duration::from_hours(24);

/// Longer between two looks than any store keeps somebody waiting: the machine was asleep meanwhile, or its clock was set.
const ASLEEP: Duration = Duration::from_mins(5);
/// The shortest time between two looks, however often something is refused for want of room.
const AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// Runs until the store is closed.
///
/// # Errors
/// The store is broken.
pub(super) async fn run(store: Store, own: Own) -> Result<(), StoreError> {
    let mut looked_at = Timestamp::now();
    loop {
        let now = Timestamp::now();
        let asleep = Duration::try_from(now.duration_since(looked_at)).unwrap_or_default();
        looked_at = now;
        if asleep > ASLEEP {
            // Before anything is given up.
            store.postpone_deadlines(asleep).await.or_else(pass)?;
        }
        store.clamp_due(now, LONGEST_AHEAD).await.or_else(pass)?;
        for gave_way in store.make_room(now).await.or_else(pass)? {
            tell(&gave_way, &own);
        }
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
        sleep(AT_MOST_EVERY).await;
        tokio::select! {
            () = sleep(EVERY) => {}
            () = store.short_of_room() => {}
        }
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

/// Tells which messages gave way to others: in the log, and through every route that tells of dead letters.
fn tell(gave_way: &GaveWay, own: &Own) {
    let GaveWay { route, sink, given_up, emptied, forgotten, events, since, alarms } = gave_way;
    tracing::error!(
        route, sink, given_up, emptied, forgotten, events, %since,
        "The outbox is full: the oldest messages of the route to the sink gave way to others."
    );
    let messages = given_up + emptied;
    if messages == 0 || *alarms {
        return;
    }
    let error = format!(
        "the messages of the route `{route}` had more than their share of the store; the oldest, from {since:.0} on, gave way \
         to others and cannot be sent again"
    );
    let (messages, events) = (messages.to_string(), events.to_string());
    own.say(
        "dead_letter",
        &[("error", &error), ("events", &events), ("messages", &messages), ("route", route), ("sink", sink)],
    );
}

/// What passes is tried again the next time.
fn pass<T: Default>(error: StoreError) -> Result<T, StoreError> {
    if error.is_passing() { Ok(T::default()) } else { Err(error) }
}
