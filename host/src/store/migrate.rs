//! Brings a database to the newest version, one transaction per step, so that a program killed within leaves the version
//! before or the one after.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use tracing::info;

use super::StoreError;

/// The version that a list of steps ends at.
pub(super) fn newest(steps: &[&str]) -> i32 {
    i32::try_from(steps.len()).unwrap_or(i32::MAX)
}

/// The version that the database has; 0 is an empty one.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i32> {
    db.query_row("PRAGMA user_version", (), |row| row.get(0))
}

/// Applies the steps that the database has not seen yet; the step at place n leads from version n to n + 1.
///
/// # Errors
/// [`StoreError::Newer`] when the database has seen more steps than there are, else what SQLite says.
pub(super) fn migrate(db: &mut Connection, steps: &[&str], path: &Arc<Path>) -> Result<(), StoreError> {
    let of = |error: &rusqlite::Error| StoreError::of(error, path);
    let found = version(db).map_err(|error| of(&error))?;
    let known = newest(steps);
    if found > known || found < 0 {
        return Err(StoreError::Newer { path: Arc::clone(path), found, known });
    }
    for (step, to) in steps.iter().zip(1..).skip_while(|(_, to)| *to <= found) {
        apply(db, step, to).map_err(|error| of(&error))?;
        if found > 0 {
            info!(from = to - 1, to, "The store was brought to a newer version.");
        }
    }
    Ok(())
}

fn apply(db: &mut Connection, step: &str, to: i32) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}

#[cfg(test)]
mod tests;
