//! What attempts came to: the first and the last ones of each message.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::store::column::{count, cut, time};

/// How many of the last attempts are kept, beside the first.
const LAST: i64 = 19;
/// Most bytes that are kept of what an attempt came to.
const OUTCOME: usize = 2000;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Which one, from 1.
    pub number: u32,
    /// When it ended.
    pub at: Timestamp,
    /// How far it came.
    pub stage: String,
    /// What was answered.
    pub outcome: String,
}

pub(super) fn note(
    db: &Connection,
    message: i64,
    tries: i64,
    at: i64,
    stage: &str,
    outcome: &str,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO attempt (message, number, at_ms, stage, outcome) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![message, tries, at, cut(stage, 100), cut(outcome, OUTCOME)])?;
    db.prepare_cached("DELETE FROM attempt WHERE message = ?1 AND number > 1 AND number <= ?2")?
        .execute([message, tries - LAST])
        .map(drop)
}

pub(super) fn of(db: &Connection, message: i64) -> rusqlite::Result<Vec<AttemptRow>> {
    let mut rows =
        db.prepare_cached("SELECT number, at_ms, stage, outcome FROM attempt WHERE message = ?1 ORDER BY number")?;
    let attempt = |row: &Row<'_>| {
        Ok(AttemptRow { number: count(row.get(0)?), at: time(row.get(1)?), stage: row.get(2)?, outcome: row.get(3)? })
    };
    rows.query_map([message], attempt)?.collect()
}
