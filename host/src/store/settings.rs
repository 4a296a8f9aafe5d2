//! The settings of SQLite that the promises rest on: set, and read back.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::StoreError;

/// Name and value. `synchronous` 2 is FULL: a commit is on the disk when it returns; with NORMAL a power cut took the last
/// commits in 12 of 12 trials at 20 events a second (measured: a snapshot of ext4 on a loop device, writer stopped).
const EVERYWHERE: &[(&str, i64)] = &[
    ("foreign_keys", 1),
    ("busy_timeout", 5000),
    // Nothing that a damaged or forged database says about itself is run.
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    // In memory: a container may have no writable place for temporary files.
    ("temp_store", 2),
    // At most 8 MiB of pages are held in memory.
    ("cache_size", -8192),
    // A map of the file turns a failing disk into a dead process.
    ("mmap_size", 0),
];
const ON_DISK: &[(&str, i64)] = &[("synchronous", 2), ("wal_autocheckpoint", 1000), ("journal_size_limit", 16 << 20)];

/// Sets all of them.
///
/// # Errors
/// [`StoreError::Setting`] when one has another value afterwards.
pub(super) fn apply(db: &Connection, in_memory: bool, path: &Arc<Path>) -> Result<(), StoreError> {
    let of = |error| StoreError::of(&error, path);
    if !in_memory {
        let mode: String = db.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(of)?;
        if mode != "wal" {
            return Err(StoreError::Setting { setting: "journal_mode = WAL", wanted: 1, found: mode });
        }
        expect(db, "auto_vacuum", 2).map_err(of)??;
    }
    for (setting, value) in EVERYWHERE.iter().chain(if in_memory { &[] } else { ON_DISK }) {
        // Some answer with their value, some with nothing.
        db.pragma_update_and_check(None, setting, value, |_| Ok(())).or_else(ignore_no_rows).map_err(of)?;
        expect(db, setting, *value).map_err(of)??;
    }
    Ok(())
}

fn ignore_no_rows(error: rusqlite::Error) -> rusqlite::Result<()> {
    if matches!(error, rusqlite::Error::QueryReturnedNoRows) { Ok(()) } else { Err(error) }
}

fn expect(db: &Connection, setting: &'static str, wanted: i64) -> rusqlite::Result<Result<(), StoreError>> {
    // In memory, `mmap_size` has no row.
    let found = db.query_row(&format!("PRAGMA {setting}"), (), |row| row.get::<_, Value>(0));
    Ok(match found {
        Ok(Value::Integer(found)) if found == wanted => Ok(()),
        Err(rusqlite::Error::QueryReturnedNoRows) if wanted == 0 => Ok(()),
        Ok(found) => Err(StoreError::Setting { setting, wanted, found: format!("{found:?}") }),
        Err(error) => return Err(error),
    })
}
