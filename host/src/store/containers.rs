//! The last known state of each container, to compare with after a gap.

use rusqlite::{Connection, params};

use super::journal;
use super::{Store, StoreError};

/// What was known of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// The engine's id of it.
    pub id: String,
    /// JSON of whoever compares.
    pub state: String,
}

impl Store {
    /// What was known of the containers of an engine.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn containers(&self, engine: &str) -> Result<Vec<ContainerState>, StoreError> {
        let engine = engine.to_owned();
        self.ask(move |db| {
            let mut rows = db.prepare_cached(
                "SELECT id, container.state FROM container JOIN engine ON engine.number = container.engine
                 WHERE engine.name = ?1 ORDER BY id",
            )?;
            let rows = rows.query_map([&engine], |row| Ok(ContainerState { id: row.get(0)?, state: row.get(1)? }))?;
            rows.collect()
        })
        .await
    }

    /// Puts `all` in the place of what was known of an engine's containers, in one transaction.
    ///
    /// # Errors
    /// When the store is full or cannot be written; then the old states stay.
    pub async fn replace_containers(&self, engine: &str, all: Vec<ContainerState>) -> Result<(), StoreError> {
        let engine = engine.to_owned();
        self.bring(bytes(&all), move |db| replace(db, journal::number(db, &engine)?, &all)).await
    }
}

/// Returns how many bytes states have, about.
pub(super) fn bytes(all: &[ContainerState]) -> usize {
    all.iter().map(|one| one.id.len() + one.state.len()).sum()
}

/// Puts `all` in the place of what was known of an engine's containers.
pub(super) fn replace(db: &Connection, engine: i64, all: &[ContainerState]) -> rusqlite::Result<()> {
    db.execute("DELETE FROM container WHERE engine = ?1", [engine])?;
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO container (engine, id, state) VALUES (?1, ?2, ?3)")?;
    all.iter().try_for_each(|one| insert.execute(params![engine, one.id, one.state]).map(drop))
}
