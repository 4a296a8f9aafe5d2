//! The journal is read again from where a route has settled.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{append, pack};
use crate::store::column::{count, int, time, uint};
use crate::store::{Store, StoreError};

/// Lines as they were appended together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Sequence number of the first line.
    pub first: u64,
    /// How many lines there are.
    pub count: u32,
    /// Configured name of the engine.
    pub engine: Arc<str>,
    /// When they came, by dockbell's clock.
    pub received: Timestamp,
    /// Whether the disk has changed what was stored. There are no lines then, and nobody knows what they said: a gap.
    pub damaged: bool,
    lines: Bytes,
}

impl Batch {
    /// Each line with its sequence number, those after `after` alone; 0 for all.
    pub fn lines(&self, after: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let numbered = (self.first..).zip(self.lines.split(|byte| *byte == b'\n'));
        numbered.filter(move |(seq, line)| *seq > after && !line.is_empty())
    }

    /// Sequence number of the last line.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count.max(1)) - 1
    }

    /// How many bytes the lines have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lines.len()
    }
}

impl Store {
    /// The batches that hold lines after `after`, in their order: as many as fit into `most_bytes`, but at least one if
    /// there is any. The first one may begin before `after`: see [`Batch::lines`]. Nothing means that all was read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn journal(&self, after: u64, most_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        self.ask(move |db| read(db, int(after), most_bytes, &mut |batch| batch)).await
    }

    /// The same, each batch made into something else, while others work, by the thread that reads. In memory that thread
    /// also writes, and what comes is not to wait: there it is made by who asked. What is asked for is begun when this is
    /// polled first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn journal_as<T: Send + 'static>(
        &self,
        after: u64,
        most_bytes: usize,
        mut make: impl FnMut(Batch) -> T + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        if self.is_in_memory() {
            return Ok(self.journal(after, most_bytes).await?.into_iter().map(make).collect());
        }
        self.ask(move |db| read(db, int(after), most_bytes, &mut make)).await
    }

    /// Sequence number of the newest line; 0 when there never was one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn newest(&self) -> Result<u64, StoreError> {
        self.ask(|db| Ok(uint(append::next(db)? - 1))).await
    }
}

fn read<T>(
    db: &Connection,
    after: i64,
    most_bytes: usize,
    make: &mut impl FnMut(Batch) -> T,
) -> rusqlite::Result<Vec<T>> {
    // The batch that holds line `after` may hold the next one, too.
    let mut holder = db.prepare_cached("SELECT first FROM journal WHERE first <= ?1 ORDER BY first DESC LIMIT 1")?;
    let from: i64 = holder.query_row([after], |row| row.get(0)).optional()?.unwrap_or(0);
    let mut rows = db.prepare_cached(
        "SELECT first, count, name, received_ms, bytes, sum, lines FROM journal JOIN engine ON engine.number = journal.engine
         WHERE first >= ?1 AND first + count > ?2 + 1 ORDER BY first",
    )?;
    let mut rows = rows.query(params![from, after])?;
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let unpacked = uint(row.get(4)?);
        bytes =
            usize::try_from(unpacked).unwrap_or(usize::MAX).saturating_add(size_of::<Batch>()).saturating_add(bytes);
        if bytes > most_bytes && !batches.is_empty() {
            break;
        }
        let lines = pack::unpack(row.get(6)?, unpacked, row.get(5)?);
        batches.push(make(Batch {
            first: uint(row.get(0)?),
            count: count(row.get(1)?),
            engine: row.get(2)?,
            received: time(row.get(3)?),
            damaged: lines.is_none(),
            lines: lines.unwrap_or_default().into(),
        }));
    }
    Ok(batches)
}
