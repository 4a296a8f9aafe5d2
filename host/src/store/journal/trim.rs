//! What every route has settled is removed, a little at a time.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::KEYS;

/// Most bytes of lines that go in one commit: each page of them has to be read.
const BYTES: i64 = 4 << 20;

/// Removes the oldest batches of which every route has settled every line, at most `most`; whether there are more. Without a
/// route nothing is settled. The last batch stays: its number leads to the next one.
pub(in crate::store) fn journal(db: &Connection, most: u32) -> rusqlite::Result<bool> {
    let settled: Option<i64> = db.query_row("SELECT min(settled) FROM route", (), |row| row.get(0))?;
    let newest =
        db.query_row("SELECT first FROM journal ORDER BY first DESC LIMIT 1", (), |row| row.get(0)).optional()?;
    let (Some(settled), Some(newest)) = (settled, newest) else { return Ok(false) };
    let newest: i64 = newest;
    let mut rows =
        db.prepare_cached("SELECT first, count, length(lines) FROM journal WHERE first < ?1 ORDER BY first")?;
    let mut rows = rows.query([newest])?;
    let (mut through, mut bytes, mut count, mut more) = (None, 0, 0, false);
    while let Some(row) = rows.next()? {
        let first: i64 = row.get(0)?;
        if first + row.get::<_, i64>(1)? - 1 > settled {
            break;
        }
        if count == most || bytes >= BYTES {
            more = true;
            break;
        }
        (through, count) = (Some(first), count + 1);
        bytes += row.get::<_, i64>(2)?;
    }
    if let Some(through) = through {
        db.prepare_cached("DELETE FROM journal WHERE first <= ?1")?.execute([through])?;
    }
    Ok(more)
}

/// Up to where, less itself, the positions of each engine are older than its last [`KEYS`] keys.
pub(in crate::store) fn old_positions(db: &Connection) -> rusqlite::Result<Vec<(i64, i64)>> {
    let engines: usize = db.query_row("SELECT count(*) FROM engine", (), |row| row.get::<_, u32>(0))? as usize;
    let mut rows = db.prepare_cached("SELECT first, engine, length(keys) / 16 FROM position ORDER BY first DESC")?;
    let mut rows = rows.query(())?;
    let (mut kept, mut cuts): (HashMap<i64, usize>, Vec<_>) = (HashMap::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (first, engine) = (row.get(0)?, row.get(1)?);
        let kept = kept.entry(engine).or_default();
        if *kept >= KEYS {
            continue;
        }
        // One that moved no key counts, too, or they would stay for ever.
        *kept += usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0).max(1);
        if *kept >= KEYS {
            cuts.push((engine, first));
            if cuts.len() == engines {
                break;
            }
        }
    }
    Ok(cuts)
}

/// Removes them, at most `most` of each engine; whether there are more.
pub(in crate::store) fn positions(db: &Connection, cuts: &[(i64, i64)], most: u32) -> rusqlite::Result<bool> {
    let mut delete = db.prepare_cached(
        "DELETE FROM position WHERE first IN (
             SELECT first FROM position WHERE engine = ?1 AND first < ?2 ORDER BY first LIMIT ?3)",
    )?;
    let mut more = false;
    for (engine, cut) in cuts {
        more |= delete.execute(params![engine, cut, most])? >= most as usize;
    }
    Ok(more)
}
