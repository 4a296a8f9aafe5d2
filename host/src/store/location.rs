//! Where the files of an open store are, to notice when they are gone.
//!
//! An open file outlives its name: where a state directory is removed, renamed or covered by a mount, the store goes on
//! writing to what no next start will find, and a second instance can start at the same path.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::directory::unusable;
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
    /// Remembers the files that were opened in a directory which was named by `named`.
    ///
    /// # Errors
    /// Fails if a file cannot be described.
    pub(super) fn of(directory: &Directory, named: &Path) -> Result<Self, StoreError> {
        let mut ids = [None; FILES.len()];
        for (id, file) in ids.iter_mut().zip(FILES) {
            let about = directory.inspect(file).map_err(|error| unusable(&directory.path().join(file), &error))?;
            // The types differ between architectures.
            #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
            let found = about.map(|about| (about.st_dev as u64, about.st_ino as u64));
            *id = found;
        }
        Ok(Self { directory: named.to_owned(), ids })
    }

    /// Checks that the files are still found at their path. A path that cannot be looked at for another reason than that
    /// nothing is there proves nothing.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if other files or none are there.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (id, file) in self.ids.iter().zip(FILES) {
            let found = match self.directory.join(file).symlink_metadata() {
                Ok(about) => Some((about.dev(), about.ino())),
                Err(error)
                    if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
                {
                    None
                }
                Err(_) => continue,
            };
            if found != *id {
                return Err(StoreError::Gone { path: self.directory.clone() });
            }
        }
        Ok(())
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
