//! Opens the store: takes the lock, looks whether the database is whole, moves a damaged one aside, sets what the promises
//! rest on, and starts the threads.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags};

use super::directory::{self, unusable};
use super::job::Thread;
use super::location::Location;
use super::lock::{Last, Lock};
use super::outbox::Interrupted;
use super::space::{self, Space};
use super::writer::Writer;
use super::{Ambiguous, Full, Place, Store, StoreError, damage, migrate, outbox, reader, schema, settings};
use crate::private::Directory;

/// Name of the database in the state directory.
pub(super) const NAME: &str = "state.db";

/// A store that nobody wrote to for longer than this was not in use: its messages get the time back.
const ASLEEP: Duration = Duration::from_hours(1);

/// How the store is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Most bytes that the database may have. Default: 2 GiB, or half of what is free if that is less; in memory 256 MiB.
    /// At least 1 MiB. The write-ahead log comes on top: 16 MiB, more only while somebody reads for long.
    pub quota: Option<u64>,
    /// Bytes of the file that is deleted when the volume is full, at most a sixteenth of the volume. Default: 16 MiB; 0 for
    /// none.
    pub ballast: Option<u64>,
    /// Uses a network file system all the same. Default: no.
    pub force: bool,
    /// What becomes of messages that were being sent when the program was killed. Default: they are sent again.
    pub ambiguous: Ambiguous,
}

/// An open store, and what its owner must know.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What is to be told, the most important first.
    pub notices: Vec<Notice>,
    /// Messages that were being sent when the program was killed: they may have arrived.
    pub interrupted: Vec<Interrupted>,
}

/// Something about the store that the operator must know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The database was damaged and a new one was begun: what was stored is not known any more. To be told as loudly as
    /// possible.
    Damaged {
        /// Where the damaged one is now.
        aside: PathBuf,
        /// What was found.
        why: String,
    },
    /// The last instance did not end well; the database was checked and is whole.
    Crashed {
        /// Who that was.
        holder: String,
    },
    /// Nothing is kept: `--state none`.
    InMemory,
    /// The directory is on a file system that is gone after a restart of the machine or the container.
    Fleeting {
        /// The directory.
        path: PathBuf,
        /// Name of the file system.
        filesystem: &'static str,
    },
    /// The directory is on a file system on which a database can break.
    Doubtful {
        /// The directory.
        path: PathBuf,
        /// Name of the file system.
        filesystem: &'static str,
    },
    /// Others may write to the directory: a group, or every user to one with the sticky bit, such as `/tmp`.
    Open {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is no room for the file that is to be deleted when the volume is full. Nothing new is taken until there is.
    NoBallast {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { aside, why } => write!(
                f,
                "the store was damaged, and a new one was begun: {why}; what waited in it is not sent: `{}`\nhint: keep the \
                 file, `sqlite3` can read what is left of it; look for a failing disk",
                aside.display()
            ),
            Self::Crashed { holder } => {
                write!(f, "the last instance did not end by itself ({holder}); its store was checked and is whole")
            }
            Self::InMemory => f.write_str(
                "nothing is kept: events and messages are lost when dockbell ends\nhint: name a directory with `--state`",
            ),
            Self::Fleeting { path, filesystem } => write!(
                f,
                "the state directory is lost with the next restart of its machine or container ({filesystem}): `{}`\nhint: \
                 mount a volume there",
                path.display()
            ),
            Self::Doubtful { path, filesystem } => write!(
                f,
                "the state directory is on a file system on which a database can break ({filesystem}): `{}`\nhint: use a \
                 local directory",
                path.display()
            ),
            Self::Open { path, mode } => write!(
                f,
                "others may write to the state directory, its mode is {mode:o}: `{}`\nhint: `chmod 700` it",
                path.display()
            ),
            Self::NoBallast { why } => write!(
                f,
                "the volume of the store is full, nothing new is stored: {why}\nhint: make room on the volume"
            ),
        }
    }
}

impl Store {
    /// Opens the store. It works with files, and after a crash it reads the whole database once, so on an asynchronous
    /// runtime this is for `spawn_blocking`.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another instance uses the directory; [`StoreError::Directory`] when it cannot be used;
    /// [`StoreError::Newer`] and [`StoreError::Foreign`] when the database is not for this program; [`StoreError::Io`].
    pub fn open(place: &Place, options: &Options) -> Result<Opened, StoreError> {
        match place {
            Place::Memory => in_memory(options),
            Place::Directory(path) => in_directory(path, options),
        }
    }
}

fn in_memory(options: &Options) -> Result<Opened, StoreError> {
    let path: Arc<Path> = Arc::from(Path::new(":memory:"));
    let mut db = Connection::open_in_memory().map_err(|error| StoreError::of(&error, &path))?;
    settings::apply(&db, true, &path)?;
    migrate::migrate(&mut db, schema::VERSIONS, &path)?;
    start(db, &path, None, options, vec![Notice::InMemory])
}

fn in_directory(named: &Path, options: &Options) -> Result<Opened, StoreError> {
    let (directory, doubts) = directory::prepare(named, options.force)?;
    let directory = Arc::new(directory);
    let lacks_room =
        |error: &StoreError| matches!(error, StoreError::Io { .. } | StoreError::Full(_)) && space::is_full(&directory);
    // What opening fails with on a full volume has many names. The ballast makes room for a second try.
    match open(&directory, named, options, &doubts) {
        Err(error) if lacks_room(&error) => open(&directory, named, options, &doubts).map_err(|error| {
            let path = Arc::from(directory.path().join(NAME));
            if lacks_room(&error) { StoreError::Full(Full::Volume { path }) } else { error }
        }),
        opened => opened,
    }
}

fn open(directory: &Arc<Directory>, named: &Path, options: &Options, doubts: &[Notice]) -> Result<Opened, StoreError> {
    let lock = Lock::take(directory)?;
    let path: Arc<Path> = Arc::from(directory.path().join(NAME));
    let awake = last_write(directory);
    let mut notices = Vec::new();
    damage::check_owner(directory)?;
    let damaged = damage::find(directory, &path, &lock.last)?;
    if let Some(why) = damaged {
        notices.push(Notice::Damaged { aside: damage::move_aside(directory)?, why });
    } else if let (Last::Crashed(holder), true) = (&lock.last, path.exists()) {
        notices.push(Notice::Crashed { holder: holder.clone() });
    }
    lock.name_holder()?;
    if !path.exists() {
        create(directory, &path)?;
    }
    notices.extend_from_slice(doubts);
    let mut db = connect(&path)?;
    ours(&db, &path)?;
    settings::apply(&db, false, &path)?;
    // In a directory such as `/tmp`, somebody may have made the companions just before SQLite did.
    damage::check_owner(directory)?;
    migrate::migrate(&mut db, schema::VERSIONS, &path)?;
    if let Some(asleep) =
        awake.and_then(|awake| SystemTime::now().duration_since(awake).ok()).filter(|for_| *for_ > ASLEEP)
    {
        let by = i64::try_from(asleep.as_millis()).unwrap_or(i64::MAX / 4);
        outbox::postpone(&db, by).map_err(|error| StoreError::of(&error, &path))?;
    }
    let location = Arc::new(Location::of(directory, named));
    let home = Home { directory: Arc::clone(directory), lock: Arc::new(lock), location };
    start(db, &path, Some(home), options, notices)
}

/// When the database was written last: a dockbell with messages that wait writes at each attempt, and so at least every few
/// hours. `None` where there is none.
fn last_write(directory: &Directory) -> Option<SystemTime> {
    let written = |file: String| {
        let seconds = directory.inspect(&file).ok().flatten()?.st_mtime;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
    };
    damage::files_of(NAME).into_iter().filter_map(written).max()
}

/// What a store in a directory has that one in memory has not.
struct Home {
    directory: Arc<Directory>,
    lock: Arc<Lock>,
    location: Arc<Location>,
}

/// A connection that writes. The path has no symbolic link in it.
pub(super) fn connect(path: &Arc<Path>) -> Result<Connection, StoreError> {
    let of = |error| StoreError::of(&error, path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let db = Connection::open_with_flags(path, flags).map_err(of)?;
    db.busy_timeout(Duration::from_secs(5)).map_err(of)?;
    Ok(db)
}

/// Refuses another program's database.
pub(super) fn ours(db: &Connection, path: &Arc<Path>) -> Result<(), StoreError> {
    let found = db.query_row("PRAGMA application_id", (), |row| row.get(0));
    match found.map_err(|error| StoreError::of(&error, path))? {
        schema::APPLICATION => Ok(()),
        found => Err(StoreError::Foreign { path: Arc::clone(path), found }),
    }
}

/// Makes an empty store under another name and moves it into place, so that there never is half of one.
fn create(directory: &Directory, path: &Arc<Path>) -> Result<(), StoreError> {
    const NEW: &str = "state.db.new";
    let new: Arc<Path> = Arc::from(directory.path().join(NEW));
    for rest in damage::files_of(NEW) {
        match directory.remove(&rest) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(&new, &error)),
            _ => {}
        }
    }
    // SQLite gives its companions the same permissions.
    let file = directory.create_file(NEW).map_err(|error| unusable(&new, &error))?;
    let mut db = connect(&new)?;
    let of = |error| StoreError::of(&error, &new);
    db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").map_err(of)?;
    db.pragma_update(None, "application_id", schema::APPLICATION).map_err(of)?;
    settings::apply(&db, false, &new)?;
    migrate::migrate(&mut db, schema::VERSIONS, &new)?;
    db.close().map_err(|(_, error)| of(error))?;
    let moved = file.sync_all().and_then(|()| directory.rename(NEW, NAME)).and_then(|()| directory.sync());
    // The directory may be new itself. Its parent may be nobody's to open, and then it is old.
    let _ = directory.path().parent().map(|parent| std::fs::File::open(parent)?.sync_all());
    moved.map_err(|error| unusable(path, &error))
}

fn start(
    db: Connection,
    path: &Arc<Path>,
    home: Option<Home>,
    options: &Options,
    mut notices: Vec<Notice>,
) -> Result<Opened, StoreError> {
    let of = |error| StoreError::of(&error, path);
    db.set_prepared_statement_cache_capacity(128);
    let page = db.query_row("PRAGMA page_size", (), |row| row.get(0)).map_err(of)?;
    let directory = home.as_ref().map(|home| Arc::clone(&home.directory));
    let space = Space::new(path, directory, page, options.quota, options.ballast);
    if let Err(error) = space.prepare() {
        notices.push(Notice::NoBallast { why: error.to_string() });
    }
    let interrupted = outbox::recover(&db, options.ambiguous).map_err(of)?;

    let room = space.room();
    let (writer, orders) = Thread::new();
    let lock = home.as_ref().map(|home| Arc::clone(&home.lock));
    let location = home.as_ref().map(|home| Arc::clone(&home.location));
    let work = Writer { db, orders, space, path: Arc::clone(path), lock, location: location.clone(), broken: None };
    spawn("store-writer", path, move || work.run())?;
    let reader = if let Some(Home { lock, .. }) = home {
        let db = reader::connect(path)?;
        let (reader, orders) = Thread::new();
        let path = Arc::clone(path);
        spawn("store-reader", &Arc::clone(&path), move || reader::run(db, &orders, &path, lock))?;
        reader
    } else {
        writer.clone()
    };
    let store = Store::new(writer, reader, location, Arc::clone(path), room);
    Ok(Opened { store, notices, interrupted })
}

fn spawn(name: &str, path: &Arc<Path>, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).map_err(|error| StoreError::io(&error, path))
}
