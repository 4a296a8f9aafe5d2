//! The store when the program starts: what was left there, and whether it belongs to these engines and this configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Config;
use crate::engine::Engine;
use crate::store::{Notice, Opened, Options, Place, Store, StoreError};

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

/// Engines that are not those that the store knows under their names, and their ids.
pub(super) type Strangers = BTreeMap<Arc<str>, Arc<str>>;

/// Looks whether the store is that of these engines.
///
/// # Errors
/// The store is broken.
pub(super) async fn strangers(store: &Store, engines: &[Engine]) -> Result<Strangers, StoreError> {
    let mut strangers = Strangers::new();
    for engine in engines {
        let Some(known) = patience::wait(|| store.cursor(engine.name())).await?.and_then(|cursor| cursor.engine_id)
        else {
            continue;
        };
        if let Some(id) = engine.id().await.filter(|id| *id != known) {
            strangers.insert(Arc::clone(engine.name()), id);
        }
    }
    Ok(strangers)
}

/// The same at a start, when the state directory may be a copy: it would send another host's messages again.
///
/// # Errors
/// The store is broken.
pub(super) async fn recognise(store: &Store, engines: &[Engine]) -> Result<Strangers, StoreError> {
    let strangers = strangers(store, engines).await?;
    if !strangers.is_empty() {
        let held = patience::wait(|| store.hold_all()).await?;
        if held > 0 {
            tracing::error!(
                messages = held,
                "the state directory is another engine's, perhaps a copy; its messages are not sent\nhint: `dockbell outbox \
                 list` shows them, `dockbell outbox retry` sends them"
            );
        }
    }
    Ok(strangers)
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
