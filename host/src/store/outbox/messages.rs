//! Messages come in, and give way to later ones that tell the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use ulid::Ulid;

use super::{MessageState, phase_number};
use crate::message::Phase;
use crate::store::column::{count, int, ms};
use crate::store::{Store, StoreError, journal};

/// How long a message is tried, unless somebody says otherwise: 5 days, as Postfix's `maximal_queue_lifetime`.
pub const LIFETIME: Duration = Duration::from_hours(5 * 24);

/// A message for one sink. Its bytes are final: every attempt sends the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The message's id; the same for all sinks. A second one with the same id and sink is refused.
    pub id: Ulid,
    /// Name of the sink.
    pub sink: String,
    /// Name of the route.
    pub route: String,
    /// Group of the batch; empty when the route has one group.
    pub group: String,
    /// Why it is told now.
    pub phase: Phase,
    /// One line, for people.
    pub subject: String,
    /// How many events it tells, exact; those of the messages that it replaces included.
    pub total: u32,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// When it is given up. Default: 5 days after it was made.
    pub deadline: Option<Timestamp>,
    /// What is sent.
    pub wire: Bytes,
    /// A simpler form of it, for when the sink refuses the content of the first.
    pub plainer: Option<Bytes>,
    /// Who is to get it; the sink itself where it has no recipients. At least one.
    pub recipients: Vec<Arc<str>>,
    /// What it was made of, for whoever makes one message of it and a later one.
    pub batch: Option<Bytes>,
    /// It tells that something was not delivered. When it cannot be delivered itself, that is not told again.
    pub alarm: bool,
}

impl NewMessage {
    /// About how many bytes it takes.
    pub(in crate::store) fn bytes(&self) -> usize {
        let recipients: usize = self.recipients.iter().map(|address| address.len()).sum();
        self.body_bytes() + self.batch.as_ref().map_or(0, Bytes::len) + self.subject.len() + recipients
    }

    fn body_bytes(&self) -> usize {
        self.wire.len() + self.plainer.as_ref().map_or(0, Bytes::len)
    }
}

/// A message that was never tried, and so can be replaced by a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untried {
    /// Its number in the outbox.
    pub number: i64,
    /// How many events it tells.
    pub total: u32,
    /// What it was made of.
    pub batch: Bytes,
}

impl Store {
    /// The messages of a group for a sink that wait and were never tried, the oldest first: during an outage a later digest
    /// can tell the same, and more, in their place (`replaces` of [`Seal`](crate::store::Seal)). Closing messages, and those
    /// without a `batch`, are not among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn untried(&self, route: &str, group: &str, sink: &str) -> Result<Vec<Untried>, StoreError> {
        let (route, group, sink) = (route.to_owned(), group.to_owned(), sink.to_owned());
        self.ask(move |db| {
            let mut rows = db.prepare_cached(UNTRIED)?;
            let rows = rows.query_map([&route, &group, &sink], |row| {
                let batch: Vec<u8> = row.get(2)?;
                Ok(Untried { number: row.get(0)?, total: count(row.get(1)?), batch: batch.into() })
            })?;
            rows.collect()
        })
        .await
    }
}

impl Store {
    /// How many messages of a route wait for a sink and were never tried, at most `most`.
    ///
    /// # Errors
    /// Fails if the store cannot be read.
    pub async fn waiting(&self, route: &str, sink: &str, most: u32) -> Result<u32, StoreError> {
        let (route, sink) = (route.to_owned(), sink.to_owned());
        self.ask(move |db| {
            db.prepare_cached(WAITING)?.query_row(params![route, sink, most], |row| row.get(0)).map(count)
        })
        .await
    }
}

const WAITING: &str = "SELECT count(*) FROM (
    SELECT 1 FROM message WHERE route = ?1 AND sink = ?2 AND state = 0 AND tries = 0 LIMIT ?3)";

/// `state = 0 AND tries = 0` has to stand there in these words: it is the condition of the index.
const UNTRIED: &str = "SELECT number, total, batch FROM message JOIN body ON body.message = number
    WHERE route = ?1 AND digest = ?2 AND sink = ?3 AND state = 0 AND tries = 0 AND phase < 2 AND batch IS NOT NULL ORDER BY number";

/// Puts a message in; gives its number.
pub(in crate::store) fn insert(db: &Connection, new: &NewMessage) -> rusqlite::Result<i64> {
    let number = insert_row(db, new, None)?;
    db.prepare_cached("INSERT INTO body (message, sum, wire, plainer, batch) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(
        params![
            number,
            checksum(&new.wire, new.plainer.as_deref()),
            new.wire.as_ref(),
            new.plainer.as_deref(),
            new.batch.as_deref()
        ],
    )?;
    Ok(number)
}

/// Puts in a message that is lost for this reason: a dead letter without content.
pub(in crate::store) fn insert_lost(db: &Connection, new: &NewMessage, error: &str) -> rusqlite::Result<()> {
    insert_row(db, new, Some(error)).map(drop)
}

/// Puts in what is known of a message beside its content, with its recipients; dead where there is an error.
fn insert_row(db: &Connection, new: &NewMessage, error: Option<&str>) -> rusqlite::Result<i64> {
    let deadline = new.deadline.or_else(|| new.sealed_at.checked_add(LIFETIME).ok()).unwrap_or(Timestamp::MAX);
    let state = if error.is_some() { MessageState::Dead } else { MessageState::Pending };
    let ended = error.map(|_| ms(new.sealed_at));
    db.prepare_cached(
        "INSERT INTO message (id, sink, route, digest, phase, subject, total, bytes, state, sealed_ms, deadline_ms, alarm,
             error, ended_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        new.id.to_bytes(),
        new.sink,
        new.route,
        new.group,
        phase_number(new.phase),
        new.subject,
        new.total,
        int(new.body_bytes() as u64),
        state.number(),
        ms(new.sealed_at),
        ms(deadline),
        new.alarm,
        error,
        ended,
    ])?;
    let number = db.last_insert_rowid();
    let mut recipient =
        db.prepare_cached("INSERT INTO recipient (message, place, address, state, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (address, place) in new.recipients.iter().zip(0_i64..) {
        recipient.execute(params![number, place, address, state.number(), ended])?;
    }
    Ok(number)
}

/// The checksum of a message's bytes.
pub(super) fn checksum(wire: &[u8], plainer: Option<&[u8]>) -> i64 {
    journal::checksum(wire) ^ plainer.map_or(0, journal::checksum).rotate_left(1)
}

/// Removes messages that were never tried; false, and nothing is changed, when one of them was or is gone.
pub(in crate::store) fn remove_untried(db: &Connection, numbers: &[i64]) -> rusqlite::Result<bool> {
    let mut untried =
        db.prepare_cached("SELECT count(*) FROM message WHERE number = ?1 AND state = 0 AND tries = 0")?;
    for number in numbers {
        if untried.query_row([number], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(false);
        }
    }
    let mut delete = db.prepare_cached("DELETE FROM message WHERE number = ?1")?;
    numbers.iter().try_for_each(|number| delete.execute([number]).map(drop))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::plan;

    #[test]
    fn what_waits_is_counted_by_an_index() {
        let plan = plan(WAITING);
        assert!(plan.contains("USING COVERING INDEX message_untried (route=?)"), "{plan}");
    }

    #[test]
    fn what_can_be_replaced_is_found_by_an_index() {
        let plan = plan(UNTRIED);
        assert!(plan.contains("USING INDEX message_untried (route=? AND digest=? AND sink=?)"), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
