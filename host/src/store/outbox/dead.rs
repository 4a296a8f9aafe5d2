//! Messages that somebody will not get, and what a person can do about them.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use ulid::Ulid;

use super::{Summary, list};
use crate::store::column::ms;
use crate::store::{Store, StoreError};

impl Store {
    /// Tries messages again that are dead, held or orphaned, with the same id and bytes, marked as late, until `deadline`:
    /// the recipients that have not got them. Those that were put off are tried at once, and one that waits keeps its place. One
    /// that lost its content to make room stays dead. Gives the numbers of all that are tried.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn retry(&self, ids: Vec<Ulid>, deadline: Timestamp) -> Result<Vec<i64>, StoreError> {
        self.change(move |db| {
            let mut revive = db.prepare_cached(
                "UPDATE recipient SET state = 0 WHERE state = 4 AND message IN (
                     SELECT number FROM message JOIN body ON body.message = number WHERE id = ?1 AND state IN (3, 4, 5))",
            )?;
            let mut again = db.prepare_cached(
                "UPDATE message SET state = 0, next_ms = 0, ended_ms = NULL, late = late OR state <> 0,
                     deadline_ms = CASE WHEN state = 0 THEN deadline_ms ELSE ?2 END
                 WHERE id = ?1 AND state IN (0, 3, 4, 5) AND number IN (SELECT message FROM body) RETURNING number",
            )?;
            let mut waiting = Vec::new();
            for id in &ids {
                revive.execute([id.to_bytes()])?;
                let numbers = again.query_map(params![id.to_bytes(), ms(deadline)], |row| row.get(0))?;
                waiting.extend(numbers.collect::<Result<Vec<i64>, _>>()?);
            }
            Ok(waiting)
        })
        .await
    }

    /// Removes messages, in whatever state but being sent. Gives what was removed.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn drop_messages(&self, ids: Vec<Ulid>) -> Result<Vec<Summary>, StoreError> {
        self.change(move |db| {
            let mut find = db.prepare_cached("SELECT number FROM message WHERE id = ?1 AND state <> 1")?;
            let mut numbers = Vec::new();
            for id in &ids {
                let found = find.query_map([id.to_bytes()], |row| row.get(0))?;
                numbers.extend(found.collect::<Result<Vec<i64>, _>>()?);
            }
            remove(db, &numbers)
        })
        .await
    }

    /// Gives messages that wait so much more time, as after the machine was asleep: nobody tried them meanwhile. Gives how
    /// many there are.
    ///
    /// # Errors
    /// Fails if the store cannot be written.
    pub async fn postpone_deadlines(&self, by: Duration) -> Result<usize, StoreError> {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.change(move |db| postpone(db, by)).await
    }

    /// Lets every pending message wait for a person, as when the state directory turned out to be a copy of another host's.
    /// Gives how many there were.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn hold_all(&self) -> Result<usize, StoreError> {
        self.change(|db| db.execute("UPDATE message SET state = 3 WHERE state = 0", ())).await
    }
}

fn remove(db: &Connection, numbers: &[i64]) -> rusqlite::Result<Vec<Summary>> {
    let removed = list::numbered(db, numbers)?;
    let mut delete = db.prepare_cached("DELETE FROM message WHERE number = ?1")?;
    numbers.iter().try_for_each(|number| delete.execute([number]).map(drop))?;
    Ok(removed)
}

fn select(db: &Connection, sql: &str, before: i64, most: u32) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached(sql)?.query_map(params![before, most], |row| row.get(0))?.collect()
}

const EXPIRED: &str = "SELECT number FROM message INDEXED BY message_deadline WHERE state = 0 AND deadline_ms <= ?1 ORDER BY deadline_ms LIMIT ?2";
const OLD_DEAD: &str =
    "SELECT number FROM message INDEXED BY message_ended WHERE state = 4 AND ended_ms <= ?1 ORDER BY ended_ms LIMIT ?2";
const OLD_SENT: &str =
    "SELECT number FROM message INDEXED BY message_ended WHERE state = 2 AND ended_ms <= ?1 ORDER BY ended_ms LIMIT ?2";

/// Gives messages that wait so much more time, in milliseconds: while dockbell was not awake, none of them was tried.
pub(in crate::store) fn postpone(db: &Connection, by: i64) -> rusqlite::Result<usize> {
    db.execute("UPDATE message SET deadline_ms = deadline_ms + ?1 WHERE state IN (0, 1)", [by])
}

/// Makes dead letters of pending messages that are too old, at most `most`; gives them.
pub(in crate::store) fn expire(db: &Connection, now: Timestamp, most: u32) -> rusqlite::Result<Vec<Summary>> {
    let numbers = select(db, EXPIRED, ms(now), most)?;
    let mut die = db.prepare_cached(
        "UPDATE message SET state = 4, ended_ms = ?2, error = coalesce(error, 'it was never its turn') WHERE number = ?1",
    )?;
    let mut each = db.prepare_cached("UPDATE recipient SET state = 4, at_ms = ?2 WHERE message = ?1 AND state = 0")?;
    for number in &numbers {
        die.execute(params![number, ms(now)])?;
        each.execute(params![number, ms(now)])?;
    }
    list::numbered(db, &numbers)
}

/// Removes sent messages and dead letters that ended before these times, at most `most` of each; gives the dead letters, and
/// how many in all.
pub(in crate::store) fn purge(
    db: &Connection,
    sent_before: Timestamp,
    dead_before: Timestamp,
    most: u32,
) -> rusqlite::Result<(Vec<Summary>, usize)> {
    let sent = select(db, OLD_SENT, ms(sent_before), most)?;
    let mut delete = db.prepare_cached("DELETE FROM message WHERE number = ?1")?;
    sent.iter().try_for_each(|number| delete.execute([number]).map(drop))?;
    let dead = remove(db, &select(db, OLD_DEAD, ms(dead_before), most)?)?;
    let all = sent.len() + dead.len();
    Ok((dead, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::plan;

    #[test]
    fn what_is_too_old_is_found_by_an_index() {
        for (sql, index) in [(EXPIRED, "message_deadline"), (OLD_DEAD, "message_ended"), (OLD_SENT, "message_ended")] {
            let plan = plan(sql);
            assert!(plan.contains(index) && !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
