//! Where the files of an open store are, to notice when they are gone.
//!
//! An open file outlives its name: where a state directory is removed, renamed or covered by a mount, the store goes on
//! writing to what no next start will find, and a second instance can start at the same path.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::{StoreError, lock, open};
use crate::private::Directory;

/// The files by which a directory is recognised.
const FILES: [&str; 2] = [lock::NAME, open::NAME];

/// Device and inode number of a file.
type Id = (u64, u64);

/// Where an open store is.
#[derive(Debug)]
pub(super) struct Location {
    /// As it was named, which may be through a symbolic link.
    directory: PathBuf,
    ids: [Option<Id>; FILES.len()],
}

impl Location {
    /// Remembers the files that were opened in a directory, which is found by `named`.
    pub(super) fn of(directory: &Directory, named: &Path) -> Self {
        Self { directory: named.to_owned(), ids: FILES.map(|file| id(&directory.path().join(file)).ok().flatten()) }
    }

    /// Checks that the files are still found at their path. A path that cannot be looked at for another reason than that
    /// nothing is there proves nothing.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if other files or none are there.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (expected, file) in self.ids.iter().zip(FILES) {
            if id(&self.directory.join(file)).is_ok_and(|found| found != *expected) {
                return Err(StoreError::Gone { path: self.directory.clone() });
            }
        }
        Ok(())
    }
}

/// Describes what is at a path; `None` if nothing is.
fn id(path: &Path) -> std::io::Result<Option<Id>> {
    match path.symlink_metadata() {
        Ok(about) => Ok(Some((about.dev(), about.ino()))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a connection leave the files alone when it closes, if other files are at its path now: SQLite removes the log by its
/// name, which would be that of the next instance.
pub(super) fn spare_successor(db: &Connection, location: &Location) {
    if location.check().is_err() {
        // It fails for no connection that is open.
        let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
}
