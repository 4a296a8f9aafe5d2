//! What plugins keep across restarts.

use rusqlite::params;

use super::{Store, StoreError};

/// A value that a plugin keeps, or that it removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The route in which the plugin runs.
    pub route: String,
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// The plugin's own name for the value.
    pub key: String,
    /// The value; none for one that is removed.
    pub value: Option<Vec<u8>>,
}

impl Store {
    /// What a plugin kept in a route, by key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn state(&self, route: &str, plugin: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let names = [route.to_owned(), plugin.to_owned()];
        self.ask(move |db| {
            let mut rows = db.prepare_cached(
                "SELECT name, value FROM plugin_state WHERE route = ?1 AND plugin = ?2 ORDER BY name",
            )?;
            rows.query_map([&names[0], &names[1]], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .await
    }

    /// Makes all of these changes, in one transaction.
    ///
    /// # Errors
    /// When the store is full or cannot be written; then none of them was made.
    pub async fn change_state(&self, changes: Vec<StateChange>) -> Result<(), StoreError> {
        let bytes = |change: &StateChange| change.key.len() + change.value.as_ref().map_or(0, Vec::len);
        self.bring(changes.iter().map(bytes).sum(), move |db| {
            let mut put = db.prepare_cached(
                "INSERT INTO plugin_state (route, plugin, name, value) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
            )?;
            let mut remove =
                db.prepare_cached("DELETE FROM plugin_state WHERE route = ?1 AND plugin = ?2 AND name = ?3")?;
            changes.iter().try_for_each(|StateChange { route, plugin, key, value }| {
                match value {
                    Some(value) => put.execute(params![route, plugin, key, value]),
                    None => remove.execute([route, plugin, key]),
                }
                .map(drop)
            })
        })
        .await
    }

    /// Forgets what plugins kept in all routes but these, and what other plugins kept in these. Gives routes and plugins that
    /// were forgotten.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn retain_states(&self, kept: Vec<(String, String)>) -> Result<Vec<(String, String)>, StoreError> {
        self.change(move |db| {
            let mut known = db.prepare_cached("SELECT DISTINCT route, plugin FROM plugin_state")?;
            let known = known.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut gone: Vec<(String, String)> = known.collect::<Result<_, _>>()?;
            gone.retain(|one| !kept.contains(one));
            for (route, plugin) in &gone {
                db.execute("DELETE FROM plugin_state WHERE route = ?1 AND plugin = ?2", [route, plugin])?;
            }
            Ok(gone)
        })
        .await
    }
}
