//! T1: lines and the cursor of their engine.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Append, Moved, gap, pack};
use crate::store::column::{int, ms, uint};
use crate::store::job::{Class, Lane};
use crate::store::{Store, StoreError, Ticket, containers};

/// Where a batch of lines went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Sequence number of its first line.
    pub first: u64,
    /// Sequence number of its last line.
    pub last: u64,
}

/// Keeps the lines of one engine, in their order.
///
/// When an append fails, those that were handed over after it fail, too ([`StoreError::OutOfTurn`]), so that the cursor
/// never is ahead of lines that were not stored. Once all their tickets were seen, [`resume`](Self::resume) and append them
/// again, or count them as lost and open a gap.
#[derive(Debug)]
pub struct Appender {
    store: Store,
    engine: Arc<str>,
    lane: Arc<Lane>,
    turn: u64,
}

impl Store {
    /// Keeps the lines of an engine. One per engine at a time.
    #[must_use]
    pub fn appender(&self, engine: &str) -> Appender {
        let lane = Arc::new(Lane::default());
        let turn = lane.next();
        Appender { store: self.clone(), engine: Arc::from(engine), lane, turn }
    }
}

impl Appender {
    /// Hands lines over; the ticket resolves when they are on the disk. Waits only while 64 MiB wait for the disk already.
    /// The next lines can be handed over before this ticket has resolved.
    ///
    /// # Errors
    /// Here only [`StoreError::Closed`]; the ticket may bring any.
    pub async fn append(&self, append: Arc<Append>) -> Result<Ticket<Appended>, StoreError> {
        let engine = Arc::clone(&self.engine);
        let keys = append.moved.as_ref().map_or(0, |moved| moved.keys.len() * 16);
        let weight = append.lines.bytes() + keys + append.containers.as_deref().map_or(0, containers::bytes);
        let lane = Some((Arc::clone(&self.lane), self.turn));
        self.store.writer.submit(Class::Intake, weight, lane, move |db| write(db, &engine, &append)).await
    }

    /// Takes appends again after one failed.
    pub fn resume(&mut self) {
        self.turn = self.lane.next();
    }

    /// Name of the engine.
    #[must_use]
    pub fn engine(&self) -> &str {
        &self.engine
    }
}

fn write(db: &Connection, engine: &str, append: &Append) -> rusqlite::Result<Appended> {
    let engine = number(db, engine)?;
    let first = next(db)?;
    let count = i64::from(append.lines.count.max(1));
    let lines = &append.lines.bytes;
    let stored = pack::pack(lines);
    let (bytes, sum) = (int(lines.len() as u64), pack::checksum(&stored));
    db.prepare_cached(
        "INSERT INTO journal (first, count, engine, received_ms, bytes, sum, lines)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![first, count, engine, ms(append.received), bytes, sum, stored.as_ref()])?;
    if let Some(moved) = &append.moved {
        moved.write(db, engine, first)?;
    }
    if let Some(all) = &append.containers {
        containers::replace(db, engine, all)?;
    }
    if append.compared {
        gap::forget(db, engine)?;
    }
    if let Some(gap) = append.gap {
        gap.write(db, engine, first)?;
    }
    Ok(Appended { first: uint(first), last: uint(first + count - 1) })
}

impl Moved {
    fn write(&self, db: &Connection, engine: i64, first: i64) -> rusqlite::Result<()> {
        let keys: Vec<u8> = self.keys.iter().flat_map(|key| key.to_be_bytes()).collect();
        let anchor = self.anchor.map(u128::to_be_bytes);
        db.prepare_cached(
            "INSERT INTO position (first, engine, last_nanos, anchor, keys, gap_from, gap_to)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            first,
            engine,
            self.last_nanos,
            anchor,
            keys,
            self.gap.map(|gap| gap.from),
            self.gap.and_then(|gap| gap.to)
        ])?;
        if let Some(id) = &self.engine_id {
            // Matches no row, and so writes none, when it is the same as before.
            db.prepare_cached("UPDATE engine SET engine_id = ?2 WHERE number = ?1 AND engine_id IS NOT ?2")?
                .execute(params![engine, id])?;
        }
        Ok(())
    }
}

/// The number of an engine, which is given when it is first seen.
pub(in crate::store) fn number(db: &Connection, engine: &str) -> rusqlite::Result<i64> {
    let mut known = db.prepare_cached("SELECT number FROM engine WHERE name = ?1")?;
    if let Some(number) = known.query_row([engine], |row| row.get(0)).optional()? {
        return Ok(number);
    }
    db.prepare_cached("INSERT INTO engine (name) VALUES (?1)")?.execute([engine])?;
    Ok(db.last_insert_rowid())
}

/// The sequence number that the next line gets. The last row is never removed, so it is always known.
pub(in crate::store) fn next(db: &Connection) -> rusqlite::Result<i64> {
    let mut last = db.prepare_cached("SELECT first + count FROM journal ORDER BY first DESC LIMIT 1")?;
    Ok(last.query_row((), |row| row.get(0)).optional()?.unwrap_or(1))
}
