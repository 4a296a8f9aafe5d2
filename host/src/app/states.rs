//! What plugins keep across restarts: read when they start, written while they run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::patience;
use crate::config::Config;
use crate::plugin::{Change, State};
use crate::store::{StateChange, Store, StoreError};

/// How long changes are collected before they are written: a plugin may count each event, and the disk has other work.
const COLLECT: Duration = Duration::from_secs(1);
/// Bytes of changes in one transaction: 1 MiB, so that the journal's writes between them wait only for milliseconds.
const TRANSACTION: usize = 1 << 20;

/// The states of all plugins that are granted one, by route and plugin. Clones are the same states.
#[derive(Debug, Clone, Default)]
pub struct States(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    all: Mutex<All>,
    changed: Arc<Notify>,
    /// Where they are kept; none for a run that leaves nothing behind.
    store: Option<Store>,
}

type All = BTreeMap<(String, String), State>;

impl States {
    /// Empty ones that nobody writes: for a run that leaves nothing behind.
    #[must_use]
    pub fn fleeting(config: &Config) -> Self {
        let states = Self::default();
        for (names, limit) in granted(config) {
            states.all().insert(names, State::new(limit, [], Arc::clone(&states.0.changed)));
        }
        states
    }

    /// Those that are kept in a store; [`open`](Self::open) reads them.
    #[must_use]
    pub fn kept(store: Store) -> Self {
        Self(Arc::new(Shared { store: Some(store), ..Shared::default() }))
    }

    /// Reads those that a configuration grants and that are not open yet.
    ///
    /// # Errors
    /// The store is broken.
    pub(super) async fn open(&self, config: &Config) -> Result<(), StoreError> {
        let Some(store) = &self.0.store else { return Ok(()) };
        for ((route, plugin), limit) in granted(config) {
            if self.of(&route, &plugin).is_none() {
                let kept = patience::wait(|| store.state(&route, &plugin)).await?;
                self.all().insert((route, plugin), State::new(limit, kept, Arc::clone(&self.0.changed)));
            }
        }
        Ok(())
    }

    /// That of a plugin in a route; none where it is granted none.
    #[must_use]
    pub fn of(&self, route: &str, plugin: &str) -> Option<State> {
        self.all().get(&(route.to_owned(), plugin.to_owned())).cloned()
    }

    /// This configuration runs now: its limits hold, and what belongs to none of its routes and plugins is forgotten.
    ///
    /// # Errors
    /// The store is broken.
    pub(super) async fn match_configuration(&self, config: &Config) -> Result<(), StoreError> {
        let limits: BTreeMap<_, _> = granted(config).collect();
        self.all().retain(|names, state| {
            let limit = limits.get(names);
            limit.iter().for_each(|limit| state.set_limit(**limit));
            limit.is_some()
        });
        let Some(store) = &self.0.store else { return Ok(()) };
        let kept: Vec<(String, String)> = limits.into_keys().collect();
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
    pub(super) async fn keep(self) -> Result<(), StoreError> {
        loop {
            self.0.changed.notified().await;
            sleep(COLLECT).await;
            self.save().await?;
        }
    }

    /// Writes what has changed before this call, in transactions of at most [`TRANSACTION`] bytes.
    ///
    /// # Errors
    /// The store is broken.
    pub(super) async fn save(&self) -> Result<(), StoreError> {
        let Some(store) = &self.0.store else { return Ok(()) };
        // What plugins change meanwhile is for the next time: else this might never end.
        let all: Vec<_> =
            self.all().clone().into_iter().map(|(names, state)| (names, state.last_change(), state)).collect();
        loop {
            let (mut room, mut written, mut in_store) = (TRANSACTION, Vec::new(), Vec::new());
            for ((route, plugin), until, state) in &all {
                let changes = state.unsaved(*until, &mut room);
                in_store.extend(changes.iter().map(|Change { key, value, .. }| StateChange {
                    route: route.clone(),
                    plugin: plugin.clone(),
                    key: key.clone(),
                    value: value.clone(),
                }));
                written.push((state, changes));
            }
            if in_store.is_empty() {
                return Ok(());
            }
            match store.change_state(in_store).await {
                // It is tried again a second later.
                Err(error) if error.is_passing() => {
                    self.0.changed.notify_one();
                    return Ok(());
                }
                done => done?,
            }
            written.iter().for_each(|(state, changes)| state.saved(changes));
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        // No change can end half done.
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Routes and plugins that may keep something, and how many bytes.
fn granted(config: &Config) -> impl Iterator<Item = ((String, String), usize)> {
    config.routes.iter().flat_map(move |(route, table)| {
        table.plugins().filter_map(move |plugin| {
            let limit = config.plugins.get(plugin)?.grants.state?;
            Some(((route.clone(), plugin.clone()), limit.bytes()))
        })
    })
}
