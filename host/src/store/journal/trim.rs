//! What every route has settled is removed, a little at a time.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::KEYS;

/// Removes the oldest batches of which every route has settled every line, at most `most`. Without a route nothing is
/// settled. The last batch stays: its number leads to the next one.
pub(in crate::store) fn journal(db: &Connection, most: u32) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "DELETE FROM journal WHERE first IN (
             SELECT first FROM journal
             WHERE first + count - 1 <= (SELECT min(settled) FROM route)
               AND first < (SELECT max(first) FROM journal)
               AND first <= (SELECT min(settled) FROM route)
             ORDER BY first LIMIT ?1)",
    )?
    .execute(params![most])
}

/// Removes positions that are older than the last [`KEYS`] keys of their engine, at most `most`.
pub(in crate::store) fn positions(db: &Connection, most: u32) -> rusqlite::Result<usize> {
    let mut rows = db.prepare_cached("SELECT first, engine, length(keys) / 16 FROM position ORDER BY first DESC")?;
    let mut kept: HashMap<i64, usize> = HashMap::new();
    let mut old = Vec::new();
    let mut rows = rows.query(())?;
    while let Some(row) = rows.next()? {
        let kept = kept.entry(row.get(1)?).or_default();
        // One that moved no key counts, too, or they would stay for ever.
        let keys = usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0).max(1);
        if *kept >= KEYS {
            old.push(row.get::<_, i64>(0)?);
        }
        *kept += keys;
    }
    let mut delete = db.prepare_cached("DELETE FROM position WHERE first = ?1")?;
    // The oldest first.
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    for first in old.iter().rev().take(most) {
        delete.execute([first])?;
    }
    Ok(old.len().min(most))
}
