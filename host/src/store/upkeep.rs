//! Old things go, a little at a time, so that nobody waits for long behind it.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;

use super::journal::trim;
use super::outbox::{self, Summary};
use super::{Store, StoreError};

/// Most rows of a kind that go in one commit.
const BITE: u32 = 512;
/// The same for positions, which are small.
const BITE_OF_POSITIONS: u32 = 4096;
/// Free pages within the file that are kept for what comes next: 16 MiB at 4,096 bytes each.
const FREE: u32 = 4096;

/// How long things are kept that are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// That a message was sent, without its bytes. Default 1 day.
    pub sent: Duration,
    /// Dead letters. Default 30 days.
    pub dead: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { sent: Duration::from_hours(24), dead: Duration::from_hours(30 * 24) }
    }
}

/// What one bite of upkeep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkept {
    /// Whether there is more to do at once.
    pub more: bool,
    /// Pending messages that became dead letters because they were too old: to be told.
    pub expired: Vec<Summary>,
    /// Dead letters that were removed because they were too old: to be logged.
    pub purged: Vec<Summary>,
}

impl Store {
    /// One bite: removes what every route has settled, keys that no engine can repeat, messages that are over for long; makes
    /// dead letters of pending messages that are too old; gives free pages back to the volume, a MiB at a time.
    /// Call it every few seconds, and again at once while there is `more`.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn upkeep(&self, now: Timestamp, keep: Keep) -> Result<Upkept, StoreError> {
        // Finding them reads many rows, which must not keep the writer.
        let cuts = self.ask(trim::old_positions).await?;
        self.change(move |db| bite(db, now, keep, &cuts)).await
    }
}

fn bite(db: &Connection, now: Timestamp, keep: Keep, cuts: &[(i64, i64)]) -> rusqlite::Result<Upkept> {
    let before = |age| now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let trimmed = [trim::journal(db, BITE)?, trim::positions(db, cuts, BITE_OF_POSITIONS)?];
    let expired = outbox::expire(db, now, BITE)?;
    let (purged, ended) = outbox::purge(db, before(keep.sent), before(keep.dead), BITE)?;
    let full = BITE as usize;
    let more = [shrink(db)?, expired.len() >= full, ended >= full];
    Ok(Upkept { more: trimmed.into_iter().chain(more).any(|more| more), expired, purged })
}

/// Gives pages back that are free beyond those that are kept; whether there are more of them.
fn shrink(db: &Connection) -> rusqlite::Result<bool> {
    let free = || db.query_row("PRAGMA freelist_count", (), |row| row.get::<_, u32>(0));
    if free()? <= FREE {
        return Ok(false);
    }
    // One step of the statement moves one page.
    let mut vacuum = db.prepare_cached("PRAGMA incremental_vacuum(256)")?;
    let mut pages = vacuum.query(())?;
    while pages.next()?.is_some() {}
    Ok(free()? > FREE)
}
