//! Which message a sink tries next.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::store::column::{ms, time};
use crate::store::{Store, StoreError};

/// What a sink can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Try this message: its number, for [`Store::begin`].
    Now(i64),
    /// Nothing before this time.
    At(Timestamp),
    /// Nothing waits.
    Nothing,
}

/// The oldest that was not put off: `next_ms` is 0. It does not depend on the clock.
const FRESH: &str = "SELECT number FROM message WHERE state = 0 AND sink = ?1 AND next_ms = 0 ORDER BY number LIMIT 1";
/// The one whose time comes first among those that were put off.
const PUT_OFF: &str = "SELECT number, next_ms FROM message WHERE state = 0 AND sink = ?1 AND next_ms > 0
    ORDER BY next_ms, number LIMIT 1";

impl Store {
    /// The message that a sink tries next: the oldest, unless it was put off to a time that has not come.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next_due(&self, sink: &str, now: Timestamp) -> Result<Due, StoreError> {
        let sink = sink.to_owned();
        self.ask(move |db| next(db, &sink, now)).await
    }
}

pub(super) fn next(db: &Connection, sink: &str, now: Timestamp) -> rusqlite::Result<Due> {
    let fresh: Option<i64> = db.prepare_cached(FRESH)?.query_row([sink], |row| row.get(0)).optional()?;
    let mut put_off = db.prepare_cached(PUT_OFF)?;
    let put_off: Option<(i64, i64)> =
        put_off.query_row(params![sink], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(match (fresh, put_off) {
        (fresh, Some((number, at))) if at <= ms(now) => Due::Now(fresh.map_or(number, |fresh| fresh.min(number))),
        (Some(fresh), _) => Due::Now(fresh),
        (None, Some((_, at))) => Due::At(time(at)),
        (None, None) => Due::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::plan;

    #[test]
    fn the_next_message_is_found_by_an_index_without_sorting() {
        for sql in [FRESH, PUT_OFF] {
            let plan = plan(sql);
            assert!(plan.contains("USING COVERING INDEX message_due (state=? AND sink=? AND next_ms"), "{plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
