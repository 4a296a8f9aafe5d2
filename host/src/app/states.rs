//! What plugins keep across restarts: read when they start, written while they run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::patience;
use crate::config::Config;
use crate::plugin::{Change, State};
use crate::store::{StateChange, Store, StoreError};

/// How long changes are collected before they are written: a plugin may count each event, and the disk has other work.
const COLLECT: Duration = Duration::from_secs(1);

/// The states of all plugins that are granted one, by route and plugin.
#[derive(Debug, Clone, Default)]
pub struct States {
    all: BTreeMap<(String, String), State>,
    changed: Arc<Notify>,
}

impl States {
    /// Empty ones that nobody writes: for a run that leaves nothing behind.
    #[must_use]
    pub fn fleeting(config: &Config) -> Self {
        let changed = Arc::<Notify>::default();
        let all = granted(config).map(|(names, limit)| (names, State::new(limit, [], Arc::clone(&changed))));
        Self { all: all.collect(), changed }
    }

    /// As they were kept in the store.
    ///
    /// # Errors
    /// The store is broken.
    pub async fn load(store: &Store, config: &Config) -> Result<Self, StoreError> {
        let (mut all, changed) = (BTreeMap::new(), Arc::<Notify>::default());
        for ((route, plugin), limit) in granted(config) {
            let kept = patience::wait(|| store.state(&route, &plugin)).await?;
            all.insert((route, plugin), State::new(limit, kept, Arc::clone(&changed)));
        }
        Ok(Self { all, changed })
    }

    /// That of a plugin in a route; none where it is granted none.
    #[must_use]
    pub fn of(&self, route: &str, plugin: &str) -> Option<State> {
        self.all.get(&(route.to_owned(), plugin.to_owned())).cloned()
    }

    /// Forgets in the store what belongs to no route and plugin of the configuration any more.
    ///
    /// # Errors
    /// The store is broken.
    pub(super) async fn forget_others(&self, store: &Store) -> Result<(), StoreError> {
        let kept: Vec<(String, String)> = self.all.keys().cloned().collect();
        for (route, plugin) in patience::wait(|| store.retain_states(kept.clone())).await? {
            tracing::warn!(
                route,
                plugin,
                "the plugin is granted no state in this route any more; what it kept is forgotten"
            );
        }
        Ok(())
    }

    /// Writes changes until the store is closed.
    ///
    /// # Errors
    /// The store is broken.
    pub(super) async fn keep(self, store: Store) -> Result<(), StoreError> {
        loop {
            self.changed.notified().await;
            sleep(COLLECT).await;
            self.save(&store).await?;
        }
    }

    /// Writes what has changed since the last time, all in one transaction.
    ///
    /// # Errors
    /// The store is broken.
    pub(super) async fn save(&self, store: &Store) -> Result<(), StoreError> {
        let unsaved: Vec<(&State, Vec<Change>)> = self.all.values().map(|state| (state, state.unsaved())).collect();
        let in_store = || {
            let changes = self.all.keys().zip(&unsaved).flat_map(|((route, plugin), (_, changes))| {
                changes.iter().map(move |Change { key, value, .. }| StateChange {
                    route: route.clone(),
                    plugin: plugin.clone(),
                    key: key.clone(),
                    value: value.clone(),
                })
            });
            changes.collect::<Vec<_>>()
        };
        if unsaved.iter().all(|(_, changes)| changes.is_empty()) {
            return Ok(());
        }
        match store.change_state(in_store()).await {
            // It is tried again a second later.
            Err(error) if error.is_passing() => {
                self.changed.notify_one();
                return Ok(());
            }
            written => written?,
        }
        unsaved.iter().for_each(|(state, changes)| state.saved(changes));
        Ok(())
    }
}

/// Routes and plugins that may keep something, and how many bytes.
fn granted(config: &Config) -> impl Iterator<Item = ((String, String), usize)> {
    config.routes.iter().flat_map(move |(route, table)| {
        let plugins = table.filters.iter().chain([&table.formatter]);
        plugins.filter_map(move |plugin| {
            let limit = config.plugins.get(plugin)?.grants.state?;
            Some(((route.clone(), plugin.clone()), limit.bytes()))
        })
    })
}
