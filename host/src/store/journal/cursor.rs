//! How far into its stream an engine was read.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{KEYS, OpenGap};
use crate::store::{Store, StoreError};

/// The cursor of an engine as it was at the last commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineCursor {
    /// The engine's own id; a cursor is worth nothing for another engine under the same name.
    pub engine_id: Option<Arc<str>>,
    /// Time of the event that was read last, in nanoseconds since the Unix epoch.
    pub last_nanos: Option<i64>,
    /// Key of the event that must come again after a reconnect.
    pub anchor: Option<u128>,
    /// Keys of the last events, the oldest first: at least [`KEYS`], if there were as many.
    pub keys: Vec<u128>,
    /// What may be missing before this position, while that is not decided.
    pub gap: Option<OpenGap>,
}

impl Store {
    /// The cursor of an engine; none when nothing was read from it yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn cursor(&self, engine: &str) -> Result<Option<EngineCursor>, StoreError> {
        let engine = engine.to_owned();
        self.ask(move |db| read(db, &engine)).await
    }

    /// Forgets the cursor of an engine, as when another engine answers under its name.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn forget_cursor(&self, engine: &str) -> Result<(), StoreError> {
        let engine = engine.to_owned();
        self.change(move |db| {
            db.execute("DELETE FROM position WHERE engine = (SELECT number FROM engine WHERE name = ?1)", [&engine])?;
            db.execute("UPDATE engine SET engine_id = NULL WHERE name = ?1", [&engine]).map(drop)
        })
        .await
    }
}

fn read(db: &Connection, engine: &str) -> rusqlite::Result<Option<EngineCursor>> {
    let known = db
        .query_row("SELECT number, engine_id FROM engine WHERE name = ?1", [engine], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((number, engine_id)): Option<(i64, _)> = known else { return Ok(None) };
    // By `first`, which is the order of the table. Trimming keeps it short, whichever engine is the busy one.
    let mut rows = db.prepare_cached(
        "SELECT last_nanos, anchor, keys, gap_from, gap_to FROM position WHERE engine = ?1 ORDER BY first DESC",
    )?;
    let mut rows = rows.query(params![number])?;
    let mut cursor: Option<EngineCursor> = None;
    let mut newest_first = Vec::new();
    while let Some(row) = rows.next()? {
        if cursor.is_none() {
            let anchor: Option<[u8; 16]> = row.get(1)?;
            let (last_nanos, anchor) = (row.get(0)?, anchor.map(u128::from_be_bytes));
            let (from, to): (Option<i64>, _) = (row.get(3)?, row.get(4)?);
            let gap = from.map(|from| OpenGap { from, to });
            cursor = Some(EngineCursor { engine_id: None, last_nanos, anchor, keys: Vec::new(), gap });
        }
        let keys: Vec<u8> = row.get(2)?;
        newest_first.extend(keys.as_chunks().0.iter().rev().map(|key| u128::from_be_bytes(*key)));
        if newest_first.len() >= KEYS {
            break;
        }
    }
    newest_first.reverse();
    Ok(cursor.map(|cursor| EngineCursor { engine_id, keys: newest_first, ..cursor }))
}
