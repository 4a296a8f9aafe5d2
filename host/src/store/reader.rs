//! Connections that only read: the store's own thread for them, and other processes.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::directory::unusable;
use super::job::Order;
use super::lock::Lock;
use super::{StoreError, damage, migrate, open, schema};
use crate::private::Directory;

/// The store seen from another process, such as `dockbell outbox list` beside a running dockbell. It changes nothing and
/// stops nobody: each question is a short transaction of its own.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: Arc<Path>,
}

impl Reader {
    /// Returns whether there is a store in a state directory, or whether that cannot be seen.
    #[must_use]
    pub fn may_be_in(directory: &Path) -> bool {
        directory.join(open::NAME).try_exists().unwrap_or(true)
    }

    /// Opens the store in a state directory.
    ///
    /// # Errors
    /// [`StoreError::Directory`] when there is none; [`StoreError::Newer`] and [`StoreError::Foreign`] as for the program.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let nothing = |path: &Path| StoreError::Directory {
            path: path.to_owned(),
            problem: "there is no store in it".to_owned(),
            hint: "name the directory of the running dockbell with `--state`".to_owned(),
        };
        let directory = Directory::open_to_read(directory).map_err(|error| match error.kind() {
            ErrorKind::NotFound => nothing(directory),
            _ => unusable(directory, &error),
        })?;
        let path: Arc<Path> = Arc::from(directory.path().join(open::NAME));
        damage::check_owner(&directory)?;
        if !path.exists() {
            return Err(nothing(&path));
        }
        let known = migrate::newest(schema::VERSIONS);
        let found = connect(&path).and_then(|db| {
            open::ours(&db, &path)?;
            let found = migrate::version(&db).map_err(|error| StoreError::of(&error, &path))?;
            Ok((db, found))
        });
        // Reading takes part in the bookkeeping of the log, and needs the same rights for that.
        let (db, found) = found.map_err(|error| match error {
            StoreError::Io { path, error } => StoreError::Directory {
                path: path.to_path_buf(),
                problem: error.to_string(),
                hint: "read it as the user that dockbell runs as".to_owned(),
            },
            other => other,
        })?;
        match found {
            found if found == known => Ok(Self { db, path }),
            found if found > known => Err(StoreError::Newer { path, found, known }),
            found => Err(StoreError::Directory {
                path: path.to_path_buf(),
                problem: format!("its store is of an older dockbell: version {found}, not {known}"),
                hint: "start dockbell once: it brings the store to its version".to_owned(),
            }),
        }
    }

    /// Asks within one transaction.
    pub(super) fn ask<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        snapshot(&self.db, work).map_err(|error| StoreError::of(&error, &self.path))
    }

    /// Where the database is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// A connection that only reads. The path has no symbolic link in it.
pub(super) fn connect(path: &Arc<Path>) -> Result<Connection, StoreError> {
    let of = |error| StoreError::of(&error, path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let db = Connection::open_with_flags(path, flags).map_err(of)?;
    db.busy_timeout(Duration::from_secs(5)).map_err(of)?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch(
        "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY",
    )
    .map_err(of)?;
    Ok(db)
}

/// Answers questions until it is told to end or nobody is left to ask.
pub(super) fn run(db: Connection, orders: &Receiver<Order>, path: &Arc<Path>, lock: Arc<Lock>) {
    for order in orders {
        match order {
            Order::Do(mut command) => {
                let asked = snapshot(&db, |db| command.job.run(db));
                let failed = asked.err().map(|error| StoreError::of(&error, path));
                lock.note(failed.as_ref());
                command.answer(failed);
            }
            Order::Close(reply) => {
                // Before the answer: whoever waits for it may open the store again.
                drop((db, lock));
                let _ = reply.send(Ok(()));
                return;
            }
        }
    }
}

/// All that is read within is of one moment.
fn snapshot<T>(db: &Connection, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    db.execute_batch("BEGIN")?;
    let read = work(db);
    // A failure here is one of the next BEGIN, too.
    let ended = db.execute_batch("ROLLBACK");
    read.and_then(|read| ended.map(|()| read))
}
