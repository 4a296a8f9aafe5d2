//! How much there is of everything, for health, metrics and people.

use std::path::Path;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::column::{time, uint};
use super::outbox::MessageState;
use super::{Reader, Store, StoreError, damage, open};

/// How much there is of everything. What can be counted is exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of the database.
    pub store_bytes: u64,
    /// Bytes of it that are free for what comes next.
    pub free_bytes: u64,
    /// Most bytes that it may have; none when that is not known, in another process.
    pub quota: Option<u64>,
    /// Bytes of the write-ahead log. More than 16 MiB means that somebody reads for long, and that it grows until he ends.
    pub wal_bytes: u64,
    /// Whether nothing new is taken because the volume is full.
    pub volume_full: bool,
    /// Lines in the journal.
    pub journal_lines: u64,
    /// Open digests.
    pub open_groups: u64,
    /// Messages by sink and state; combinations without any are left out.
    pub messages: Vec<SinkCount>,
    /// When the oldest pending message was made.
    pub oldest_pending: Option<Timestamp>,
}

/// Messages of a sink in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkCount {
    /// Name of the sink.
    pub sink: String,
    /// The state.
    pub state: MessageState,
    /// How many there are.
    pub messages: u64,
    /// When the oldest of them was made.
    pub oldest: Timestamp,
}

impl Stats {
    /// How many messages are in a state.
    #[must_use]
    pub fn count(&self, state: MessageState) -> u64 {
        self.messages.iter().filter(|row| row.state == state).map(|row| row.messages).sum()
    }
}

impl Store {
    /// Counts. It reads an entry per message: 1,000,000 of them take a good part of a second, so not more often than every
    /// few seconds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        let stats = self.ask(count).await?;
        let wal_bytes = if self.is_in_memory() { 0 } else { wal_bytes(&self.path) };
        let volume_full = self.room.scarce.load(Ordering::Acquire);
        Ok(Stats { quota: Some(self.room.quota.load(Ordering::Acquire)), wal_bytes, volume_full, ..stats })
    }
}

impl Reader {
    /// Counts; what only the running program knows is left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        Ok(Stats { wal_bytes: wal_bytes(self.path()), ..self.ask(count)? })
    }
}

fn wal_bytes(path: &Path) -> u64 {
    let [_, wal, _] = damage::files_of(open::NAME);
    std::fs::metadata(path.with_file_name(wal)).map_or(0, |about| about.len())
}

fn count(db: &Connection) -> rusqlite::Result<Stats> {
    let number = |sql: &str| db.prepare_cached(sql)?.query_row((), |row| row.get::<_, i64>(0)).map(uint);
    let page = number("PRAGMA page_size")?;
    let mut rows = db.prepare_cached(
        "SELECT sink, state, messages, (SELECT sealed_ms FROM message WHERE number = oldest)
         FROM (SELECT sink, state, count(*) AS messages, min(number) AS oldest FROM message GROUP BY state, sink)",
    )?;
    let rows = rows.query_map((), |row| {
        Ok(SinkCount {
            sink: row.get(0)?,
            state: MessageState::of(row.get(1)?),
            messages: uint(row.get(2)?),
            oldest: time(row.get(3)?),
        })
    })?;
    let messages: Vec<SinkCount> = rows.collect::<Result<_, _>>()?;
    let end = |order: &str, what: &str| {
        let mut row = db.prepare_cached(&format!("SELECT {what} FROM journal ORDER BY first {order} LIMIT 1"))?;
        Ok::<_, rusqlite::Error>(row.query_row((), |row| row.get(0)).optional()?.map_or(0, uint))
    };
    Ok(Stats {
        store_bytes: number("PRAGMA page_count")? * page,
        free_bytes: number("PRAGMA freelist_count")? * page,
        quota: None,
        wal_bytes: 0,
        volume_full: false,
        // Without a hole from the first to the last.
        journal_lines: end("DESC", "first + count")? - end("ASC", "first")?,
        open_groups: number("SELECT count(*) FROM digest WHERE due_ms IS NOT NULL")?,
        oldest_pending: messages.iter().filter(|row| row.state == MessageState::Pending).map(|row| row.oldest).min(),
        messages,
    })
}
