//! The store when the program starts: what was left there, and whether it belongs to these engines and this configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::Config;
use crate::engine::Engine;
use crate::store::{EngineCursor, Notice, Opened, Options, Place, Store, StoreError};

use super::own::Own;
use super::patience;

/// Opens the store and tells what its owner must know.
///
/// # Errors
/// Another instance uses the directory, or it cannot be used.
pub(super) async fn open(place: Place, own: &Own) -> anyhow::Result<Store> {
    let opened = tokio::task::spawn_blocking(move || Store::open(&place, &Options::default())).await??;
    let Opened { store, notices, interrupted } = opened;
    for notice in notices {
        match &notice {
            Notice::Damaged { .. } => {
                tracing::error!("{notice}");
                own.say("gap", &[("reason", &notice.to_string())]);
            }
            Notice::InMemory => tracing::debug!("{notice}"),
            _ => tracing::warn!("{notice}"),
        }
    }
    for message in interrupted {
        tracing::warn!(
            sink = message.sink, message = %message.id, state = %message.state,
            "dockbell ended while it sent this message; it may have arrived"
        );
    }
    Ok(store)
}

/// Opens the store of a report, which ends by itself: the messages that an earlier one could not deliver are in it, and nothing
/// else of it counts. Where it cannot be used, this report keeps nothing.
///
/// # Errors
/// Fails if the store is broken.
pub(super) async fn open_for_report(place: Place, own: &Own) -> anyhow::Result<Store> {
    let store = match open(place, own).await {
        Err(error) => match error.downcast_ref::<StoreError>() {
            Some(StoreError::Locked { .. } | StoreError::Directory { .. }) => {
                tracing::warn!("what this report cannot deliver is lost: {error}");
                open(Place::Memory, own).await?
            }
            _ => return Err(error),
        },
        store => store?,
    };
    // What a killed report has read was of another time.
    patience::wait(|| store.retain_routes(&[])).await?;
    Ok(store)
}

/// Returns the id of the engine if it is another than the one that the store knows under its name. Where the engine does not
/// say its id within 10 s it counts as the known one; the reader finds out later.
///
/// At a start the state directory may be a copy, and would send another host's messages again: with `starting` they are held.
///
/// # Errors
/// Fails if the store is broken.
pub(super) async fn another(
    store: &Store,
    engine: &Engine,
    known: Option<&EngineCursor>,
    starting: bool,
) -> Result<Option<Arc<str>>, StoreError> {
    let Some(known) = known.and_then(|cursor| cursor.engine_id.as_ref()) else { return Ok(None) };
    let Some(id) = engine.id().await.filter(|id| id != known) else { return Ok(None) };
    let held = if starting { patience::wait(|| store.hold_all()).await? } else { 0 };
    if held > 0 {
        tracing::error!(
            messages = held,
            "the state directory is another engine's, perhaps a copy; its messages are not sent\nhint: `dockbell outbox \
             list` shows them, `dockbell outbox retry` sends them"
        );
    }
    Ok(Some(id))
}

/// Lets go of what belongs to routes and sinks that are no longer configured.
///
/// # Errors
/// The store is broken.
pub(super) async fn match_configuration(store: &Store, config: &Config) -> Result<(), StoreError> {
    let routes: Vec<&str> = config.routes.keys().map(String::as_str).collect();
    for (route, open) in patience::wait(|| store.retain_routes(&routes)).await? {
        tracing::warn!(route, open_digests = open, "the route is no longer configured; it is forgotten");
    }
    // One that no route tells is not opened, so nobody would deliver what waits for it.
    let sinks: BTreeSet<&str> = config.routes.values().flat_map(|route| &route.to).map(String::as_str).collect();
    let sinks: Vec<&str> = sinks.into_iter().collect();
    let (orphaned, back) = patience::wait(|| store.match_sinks(&sinks)).await?;
    if orphaned > 0 {
        tracing::warn!(messages = orphaned, "messages wait for sinks that no route tells any more");
    }
    if back > 0 {
        tracing::info!(messages = back, "messages are sent whose sinks are told again");
    }
    Ok(())
}
