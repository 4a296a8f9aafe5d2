//! What can go wrong with the store, and who has to do something about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why the store did not do what it was asked to. Cheap to clone: all callers of a failed commit get the same one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no room for more. Nothing was written, what is stored is whole, and the same call works again as soon as
    /// there is room.
    #[error("{0}")]
    Full(Full),
    /// Reading or writing failed, so nobody knows what is on the disk. The store does nothing more; the program has to end
    /// with an error, and its next start finds out what is whole.
    #[error(
        "the disk failed under the store: {error}: `{}`\nhint: look into the kernel's log (`dmesg`) for this disk; \
         dockbell repairs what it can at its next start", path.display()
    )]
    Io {
        /// The database.
        path: Arc<Path>,
        /// What SQLite or the system says.
        error: Arc<str>,
    },
    /// The database is damaged. The store does nothing more; the next start moves the file aside.
    #[error(
        "the store is damaged: {error}: `{}`\nhint: start dockbell again; it moves the file aside and begins a new one",
        path.display()
    )]
    Corrupt {
        /// The database.
        path: Arc<Path>,
        /// What SQLite found.
        error: Arc<str>,
    },
    /// Another instance uses the state directory.
    #[error(
        "the state directory is in use: `{}` is held by {holder}\nhint: stop that instance, or give this one a directory \
         of its own with `--state`", path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Host name, process and start time, as the holder wrote them.
        holder: String,
    },
    /// A newer dockbell wrote the store.
    #[error(
        "the store is of a newer dockbell: its version is {found}, this program knows {known}: `{}`\nhint: run the newer \
         dockbell, or give this one a directory of its own with `--state`", path.display()
    )]
    Newer {
        /// The database.
        path: Arc<Path>,
        /// Its version.
        found: i32,
        /// The newest that this program knows.
        known: i32,
    },
    /// The file is a database of another program.
    #[error(
        "not a store of dockbell: `{}` has the application id {found:#x}\nhint: move the file away, or give dockbell \
         another directory with `--state`", path.display()
    )]
    Foreign {
        /// The database.
        path: Arc<Path>,
        /// Its `application_id`.
        found: i32,
    },
    /// The state directory was removed or renamed, or another one was mounted over it, while the store was open. What is
    /// written from then on is not found by the next start.
    #[error(
        "the state directory is gone: it was removed or renamed, or something was mounted over it, while dockbell ran: \
         `{}`\nhint: bring it back, or make sure that nothing removes it; then start dockbell again", path.display()
    )]
    Gone {
        /// The directory.
        path: PathBuf,
    },
    /// The state directory cannot be used as it is.
    #[error("the state directory cannot be used: {problem}: `{}`\nhint: {hint}", path.display())]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// How to mend it.
        hint: String,
    },
    /// SQLite did not take a setting that the promises of the store rest on.
    #[error(
        "the store does not work here: `{setting}` is {found}, not {wanted}\nhint: put the state directory on a local file system"
    )]
    Setting {
        /// Name of the pragma.
        setting: &'static str,
        /// What was set.
        wanted: i64,
        /// What it is.
        found: String,
    },
    /// Another program writes to the database; that went on for more than 5 seconds.
    #[error("another program holds the store for writing: `{}`\nhint: close it; `sqlite3 -readonly` disturbs nobody", path.display())]
    Busy {
        /// The database.
        path: Arc<Path>,
    },
    /// An earlier append of the same engine failed; this one was not tried, so that no line is stored before those that
    /// came first. See [`Appender::resume`](super::Appender::resume).
    #[error("not written: an earlier part of the same stream was not")]
    OutOfTurn,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// SQLite refused a statement: a mistake of dockbell's own.
    #[error("the store refused a statement: {0}\nhint: this is a bug of dockbell; please report it")]
    Refused(Arc<str>),
}

/// What there is no more room in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Full {
    /// The store is as large as it may be. Delivering goes on, and makes room.
    #[error(
        "the store is as large as it may be: {bytes} bytes\nhint: see why messages wait (`dockbell outbox list`), or let \
         the store be larger"
    )]
    Quota {
        /// The quota.
        bytes: u64,
    },
    /// The volume is full.
    #[error("the volume of the store is full: `{}`\nhint: make room there; dockbell goes on by itself", path.display())]
    Volume {
        /// The database.
        path: Arc<Path>,
    },
}

impl StoreError {
    /// Whether nothing more can be done with this store and the program has to end.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Corrupt { .. } | Self::Gone { .. } | Self::Closed)
    }

    /// Whether there is just no room now, and the same call can work later.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether the same call can work later: there is no room now, another program writes, or it was not its turn.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Busy { .. } | Self::OutOfTurn)
    }

    /// What an error of SQLite means for whoever uses the database at `path`. Whether a full store is full by its quota or
    /// by its volume is for [`Space`](super::space::Space) to say.
    pub(super) fn of(error: &rusqlite::Error, path: &Arc<Path>) -> Self {
        let (path, text) = (Arc::clone(path), Arc::from(error.to_string()));
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(Full::Volume { path }),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path, error: text },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Io { path, error: text },
            _ => Self::Refused(text),
        }
    }

    /// The same for an error of the system.
    pub(super) fn io(error: &dyn std::fmt::Display, path: &Path) -> Self {
        Self::Io { path: Arc::from(path), error: Arc::from(error.to_string()) }
    }
}
