//! A database that is not whole is moved aside, never deleted.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rustix::fs::OFlags;

use super::directory::unusable;
use super::lock::Last;
use super::{StoreError, open};
use crate::private::Directory;

/// What every SQLite database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// How many bytes the header of a database has.
const HEADER: usize = 100;

/// Looks whether the database at `path`, in a directory, is whole; says what is wrong with it. All of it is read only if the
/// `last` instance crashed. No database at all is no damage.
pub(super) fn find(directory: &Directory, path: &Arc<Path>, last: &Last) -> Result<Option<String>, StoreError> {
    let mut header = Vec::with_capacity(HEADER);
    match directory.open_file(open::NAME, OFlags::RDONLY) {
        Ok((file, _)) => {
            let read = file.take(HEADER as u64).read_to_end(&mut header);
            read.map_err(|error| unusable(path, &error))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A log without its database would be taken for that of the new one.
            let stray = files_of(open::NAME).iter().any(|name| exists(directory, name));
            return Ok(stray.then(|| "the database is gone, its log is there".to_owned()));
        }
        Err(error) => return Err(unusable(path, &error)),
    }
    if header.is_empty() {
        return Ok(Some("the file is empty".to_owned()));
    }
    if header.len() < HEADER || !header.starts_with(MAGIC) {
        return Ok(Some("the file is no database".to_owned()));
    }
    match check(path, *last != Last::Well) {
        // Its use has found what no check finds.
        Ok(None) => Ok(if let Last::Damaged(why) = last { Some(why.clone()) } else { None }),
        Ok(damage) => Ok(damage),
        Err(StoreError::Corrupt { error, .. }) => Ok(Some(error.to_string())),
        Err(other) => Err(other),
    }
}

fn check(path: &Arc<Path>, thoroughly: bool) -> Result<Option<String>, StoreError> {
    let db = open::connect(path)?;
    let of = |error| StoreError::of(&error, path);
    db.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON").map_err(of)?;
    // A look changes nothing: the log of a damaged database is moved aside as it was found.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(of)?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(of)?;
    if tables == 0 && application(&db).map_err(of)? == 0 {
        return Ok(Some("there is nothing in the database".to_owned()));
    }
    open::ours(&db, path)?;
    if !thoroughly {
        return Ok(None);
    }
    let said: String = db.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(of)?;
    Ok((said != "ok").then_some(said))
}

fn application(db: &Connection) -> rusqlite::Result<i32> {
    db.query_row("PRAGMA application_id", (), |row| row.get(0))
}

/// Moves the database and what belongs to it out of the way; gives its new path.
pub(super) fn move_aside(directory: &Directory) -> Result<PathBuf, StoreError> {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |number: u32| {
        let again = if number == 0 { String::new() } else { format!("-{number}") };
        format!("{}.corrupt-{time}{again}", open::NAME)
    };
    let free = |name: &String| !files_of(name).iter().any(|file| exists(directory, file));
    let aside = (0..u32::MAX).map(name).find(free).unwrap_or_else(|| name(0));
    let failed = |name: &str, error: &io::Error| unusable(&directory.path().join(name), error);
    for (from, to) in files_of(open::NAME).iter().zip(files_of(&aside)) {
        match directory.rename(from, &to) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(from, &error)),
            _ => {}
        }
    }
    directory.sync().map_err(|error| failed(open::NAME, &error))?;
    Ok(directory.path().join(aside))
}

/// Refuses a database, or a companion of it, that somebody else may have put there.
pub(super) fn check_owner(directory: &Directory) -> Result<(), StoreError> {
    for name in files_of(open::NAME) {
        directory.inspect(&name).map_err(|error| unusable(&directory.path().join(&name), &error))?;
    }
    Ok(())
}

/// The names of a database and its companions.
pub(super) fn files_of(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}-wal"), format!("{name}-shm")]
}

/// Whether anything has this name, whatever it is.
fn exists(directory: &Directory, name: &str) -> bool {
    !matches!(directory.inspect(name), Ok(None))
}
