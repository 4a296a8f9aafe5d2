//! Room: how large the store may become, and what happens when the volume is full all the same.
//!
//! Three limits below the quota. Lines of engines stop at seven eighths, so that routes can still make messages of them, which
//! lets the lines go; messages stop at the quota less a reserve; delivering, settling and removing may use the reserve, because
//! they make room. And of the outbox alone: see [`Store::make_room`](super::Store::make_room). On a volume that others filled,
//! the ballast, a file that is there to be deleted, gives that room; until it could be made again, nothing new is taken.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::{Connection, ffi};
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use tokio::sync::Notify;
use tracing::{error, info};

use super::column::uint;
use super::job::Class;
use super::{Full, StoreError, open};
use crate::private::Directory;

/// Name of the file that is there to be deleted.
const BALLAST: &str = "ballast";
/// The store's share of a volume when nobody says: this, or half of what is free if that is less.
const QUOTA: u64 = 2 << 30;
/// The quota in memory.
const QUOTA_IN_MEMORY: u64 = 256 << 20;
/// Less makes no store.
const LEAST_QUOTA: u64 = 1 << 20;
/// Pages (of 4,096 bytes) of the quota that only upkeep may use; at most an eighth of it.
const RESERVE: u64 = 1024;
/// A volume with less room than this is full.
const NOTHING: u64 = 1 << 20;

/// Looks after the room.
#[derive(Debug)]
pub(super) struct Space {
    path: Arc<Path>,
    /// None in memory.
    directory: Option<Arc<Directory>>,
    ballast_bytes: u64,
    page: u64,
    /// What the operator wants.
    quota: Option<u64>,
    /// The limit that SQLite has now, in pages.
    now: u64,
    room: Arc<Room>,
}

/// What others show of it.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The most bytes that the database may have.
    pub quota: AtomicU64,
    /// Whether nothing new is taken because the volume is full.
    pub scarce: AtomicBool,
    /// Something was refused at the limit.
    pub short: Notify,
    /// So many bytes were in use when the outbox was found to have no more than its share.
    pub looked_at: AtomicU64,
}

impl Space {
    /// For a database at `path`, in a directory or in memory. `quota` and `ballast` in bytes, where the operator said so.
    pub(super) fn new(
        path: &Arc<Path>,
        directory: Option<Arc<Directory>>,
        page: u32,
        quota: Option<u64>,
        ballast: Option<u64>,
    ) -> Self {
        let mut space = Self {
            path: Arc::clone(path),
            directory,
            ballast_bytes: 0,
            page: u64::from(page).max(1),
            quota,
            now: 0,
            room: Arc::default(),
        };
        // On a small volume a smaller one.
        let volume = space.directory.as_ref().and_then(|directory| fstatvfs(directory).ok());
        let volume = volume.map_or(0, |about| about.f_blocks.saturating_mul(about.f_frsize));
        space.ballast_bytes = ballast.unwrap_or(16 << 20).min(volume / 16);
        space.measure();
        space
    }

    /// What others show of it.
    pub(super) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.room)
    }

    /// What is free, and what the store has already.
    fn share(&self) -> u64 {
        let Some(directory) = &self.directory else { return 0 };
        let size = |name| directory.inspect(name).ok().flatten().map_or(0, |about| about.st_size.unsigned_abs());
        free(directory).saturating_add(size(open::NAME)).saturating_add(size(BALLAST))
    }

    /// Finds out how large the store may be, which nobody may have said and which changes with the volume then.
    fn measure(&self) {
        let default = || if self.directory.is_some() { QUOTA.min(self.share() / 2) } else { QUOTA_IN_MEMORY };
        let quota = self.quota.unwrap_or_else(default).max(LEAST_QUOTA);
        self.room.quota.store(quota, Ordering::Release);
    }

    /// Lets SQLite use as many pages as work of this class may.
    pub(super) fn limit(&mut self, db: &Connection, class: Class) -> rusqlite::Result<()> {
        let all = self.room.quota.load(Ordering::Acquire) / self.page;
        let pages = match class {
            Class::Intake | Class::Making => all - RESERVE.min(all / 8),
            Class::Upkeep => all,
        };
        if self.now != pages {
            // What comes back is more where the database is larger already; it then takes what fits into its free pages.
            db.query_row(&format!("PRAGMA max_page_count = {pages}"), (), |row| row.get::<_, i64>(0))?;
            self.now = pages;
        }
        Ok(())
    }

    /// Whether lines of so many bytes would take more than lines may. Pages that are free within the file do not count, which
    /// SQLite's own limit does not know.
    pub(super) fn lines_have_their_share(&self, db: &Connection, bytes: u32) -> bool {
        let all = self.room.quota.load(Ordering::Acquire) / self.page;
        let most = (all - RESERVE.min(all / 8)) / 8 * 7;
        // With an eighth for their keys and for what the database adds. They are packed, and so even many of them may fit.
        let more = (u64::from(bytes) / 8 * 9 / self.page).min(most / 4);
        // What cannot be asked is found out by writing.
        pages_in_use(db).is_ok_and(|pages| pages + more >= most)
    }

    /// What an error of SQLite means here. When it is a full volume, the ballast is deleted.
    pub(super) fn explain(&mut self, error: &rusqlite::Error) -> StoreError {
        let meaning = StoreError::of(error, &self.path);
        let full = meaning.is_full();
        if (full || could_be_full(error)) && self.free().is_some_and(|free| free < NOTHING) {
            self.run_short();
            return StoreError::Full(Full::Volume { path: Arc::clone(&self.path) });
        }
        if full { self.at_quota() } else { meaning }
    }

    pub(super) fn at_quota(&self) -> StoreError {
        self.measure();
        // Whatever was found before: what lines gave back, messages may have taken since.
        self.room.looked_at.store(0, Ordering::Release);
        self.room.short.notify_one();
        StoreError::Full(Full::Quota { bytes: self.room.quota.load(Ordering::Acquire) })
    }

    fn run_short(&mut self) {
        let first = !self.room.scarce.swap(true, Ordering::AcqRel);
        if first && let Some(directory) = &self.directory {
            let deleted = directory.remove(BALLAST).is_ok();
            error!(path = %self.path.display(), ballast_deleted = deleted, "The volume of the store is full; nothing new is stored.");
        }
    }

    /// Whether new things are refused because the volume is full; looks whether that is over.
    pub(super) fn is_scarce(&mut self) -> bool {
        if self.room.scarce.load(Ordering::Acquire) {
            self.look();
        }
        self.room.scarce.load(Ordering::Acquire)
    }

    /// Takes new things again, and makes the ballast again, once there is room for both.
    pub(super) fn look(&mut self) {
        if self.room.scarce.load(Ordering::Acquire) && self.free().is_none_or(|free| free >= self.enough()) {
            let error = self.make_ballast().err().map(|error| error.to_string());
            self.room.scarce.store(false, Ordering::Release);
            info!(path = %self.path.display(), without_ballast = error, "The volume of the store has room again.");
        }
    }

    /// Room for the ballast, and as much again.
    fn enough(&self) -> u64 {
        self.ballast_bytes.saturating_mul(2).max(2 * NOTHING)
    }

    /// Makes the reserve at the start; on a volume that is full already, nothing new is taken until that could be done.
    pub(super) fn prepare(&self) -> std::io::Result<()> {
        let made = self.make_ballast();
        let is_full = self.free().is_some_and(|free| free < self.enough());
        self.room.scarce.store(made.is_err() && is_full, Ordering::Release);
        made
    }

    /// Makes the file that is there to be deleted, if it is not there.
    fn make_ballast(&self) -> std::io::Result<()> {
        let Some(directory) = self.directory.as_ref().filter(|_| self.ballast_bytes > 0) else { return Ok(()) };
        match directory.inspect(BALLAST) {
            Ok(None) => {}
            Ok(Some(about)) if about.st_size.unsigned_abs() == self.ballast_bytes => return Ok(()),
            // Of another size, or not ours: a new one takes its place.
            _ => directory.remove(BALLAST)?,
        }
        let made = directory.create_file(BALLAST).and_then(|file| fill(&file, self.ballast_bytes));
        if made.is_err() {
            // Part of it would only be in the way.
            let _ = directory.remove(BALLAST);
        }
        made
    }

    /// Bytes that this user may still write; `None` in memory.
    fn free(&self) -> Option<u64> {
        self.directory.as_deref().map(free)
    }
}

/// Pages of a database that hold something.
fn pages_in_use(db: &Connection) -> rusqlite::Result<u64> {
    let number = |sql: &str| db.prepare_cached(sql)?.query_row((), |row| row.get::<_, i64>(0)).map(uint);
    Ok(number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?))
}

/// Bytes of a database that hold something.
pub(super) fn in_use(db: &Connection) -> rusqlite::Result<u64> {
    let page: i64 = db.query_row("PRAGMA page_size", (), |row| row.get(0))?;
    Ok(pages_in_use(db)? * uint(page))
}

/// Takes room on the disk, with bytes that no file system compresses away where it cannot just be reserved.
fn fill(file: &File, bytes: u64) -> std::io::Result<()> {
    if fallocate(file, FallocateFlags::empty(), 0, bytes).is_ok() {
        return Ok(());
    }
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = [0; 4096];
    for place in (0..bytes).step_by(block.len()) {
        for part in block.chunks_mut(8) {
            // xorshift64, by G. Marsaglia.
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            part.copy_from_slice(&noise.to_le_bytes());
        }
        file.write_all_at(&block, place)?;
    }
    file.set_len(bytes)
}

/// Whether the volume of a database is full, so that not even the log's index fits on it; makes room if the ballast is there.
pub(super) fn is_full(directory: &Directory) -> bool {
    let full = free(directory) < NOTHING;
    if full {
        // Without one, there is nothing more to be done.
        let _ = directory.remove(BALLAST);
    }
    full
}

/// Bytes that this user may still write on the volume of a directory; none where nobody knows.
fn free(directory: &Directory) -> u64 {
    fstatvfs(directory).map_or(0, |about| about.f_bavail.saturating_mul(about.f_frsize))
}

/// Errors that a full volume causes beside the one that is meant for it.
fn could_be_full(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    matches!(
        extended,
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMOPEN | ffi::SQLITE_IOERR_SHMMAP
    )
}
