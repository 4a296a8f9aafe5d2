//! What is missing in an engine's stream, until it was reported and compared with the engine's containers.

use rusqlite::{Connection, params};

use crate::store::{Store, StoreError};

/// Two times between which events are missing, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Time of the last event that was read before.
    pub from: i64,
    /// Time of the first event that was read after it, else when the connection was made that found it.
    pub to: i64,
}

/// Two times between which events may be missing: whether any are is not decided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenGap {
    /// Time of the last event that was read before, in nanoseconds since the Unix epoch.
    pub from: i64,
    /// Time of the oldest event that the engine repeated, where that was not known; `None` before it repeated any.
    pub to: Option<i64>,
}

impl Store {
    /// Returns the gaps of an engine that were reported and not compared with its containers, the oldest first.
    ///
    /// # Errors
    /// Fails if the store cannot be read.
    pub async fn gaps(&self, engine: &str) -> Result<Vec<Gap>, StoreError> {
        let engine = engine.to_owned();
        self.ask(move |db| {
            let mut rows = db.prepare_cached(
                "SELECT from_nanos, to_nanos FROM gap JOIN engine ON engine.number = gap.engine
                 WHERE engine.name = ?1 ORDER BY first",
            )?;
            rows.query_map([&engine], |row| Ok(Gap { from: row.get(0)?, to: row.get(1)? }))?.collect()
        })
        .await
    }
}

impl Gap {
    /// Returns the gap that begins with the earlier of two and ends with the later one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// Keeps a gap that the batch `first` reports.
    pub(super) fn write(self, db: &Connection, engine: i64, first: i64) -> rusqlite::Result<()> {
        db.prepare_cached("INSERT INTO gap (first, engine, from_nanos, to_nanos) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![first, engine, self.from, self.to])
            .map(drop)
    }
}

/// Forgets the gaps of an engine.
pub(super) fn forget(db: &Connection, engine: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM gap WHERE engine = ?1")?.execute([engine]).map(drop)
}
