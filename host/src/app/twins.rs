//! Engines that are configured twice, under different addresses.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::engine::Engine;

/// Logs which of several engines are the same. The address does not show it (a link to a socket, two names of a host); the id does
/// that the engine gave itself.
pub(super) async fn warn(engines: &[Engine]) {
    if engines.len() < 2 {
        return;
    }
    let ids = join_all(engines.iter().map(Engine::id)).await;
    for (one, other) in twins(engines.iter().map(|engine| engine.name().clone()).zip(ids)) {
        tracing::warn!("engines `{one}` and `{other}` are the same: its events are sent twice");
    }
}

/// Returns the pairs of names that share an id.
pub fn twins<N: Clone>(engines: impl IntoIterator<Item = (N, Option<Arc<str>>)>) -> Vec<(N, N)> {
    let (mut known, mut pairs) = (BTreeMap::<Arc<str>, N>::new(), Vec::new());
    for (name, id) in engines {
        let Some(id) = id else { continue };
        match known.get(&id) {
            Some(first) => pairs.push((first.clone(), name)),
            None => drop(known.insert(id, name)),
        }
    }
    pairs
}
