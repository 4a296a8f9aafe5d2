//! Directories that no other user can tamper with, and the files in them.
//!
//! What dockbell keeps on disk it believes when it reads it again, and it writes with its own rights, which are often root's.
//! So a directory is used only if no other user could have put it, or what is in it, there: it belongs to this user, and
//! every directory above it and every symbolic link on the way belongs to this user or to root and can be changed by nobody
//! else. Files in it are opened relative to the opened directory, without following symbolic links, and must be regular files
//! of the same user. A hard link to a file of somebody else is left to `fs.protected_hardlinks`, which is on by default.

use std::ffi::OsString;
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, statat};
use rustix::io::Errno;

/// The permissions of a new file.
pub(crate) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// The bit with which every user may write.
const ALL_WRITE: u32 = 0o002;
/// The bit with which only the owner of a file may rename or remove it, whoever may write to the directory.
const STICKY: u32 = 0o1000;
/// Most symbolic links on the way to a directory; the kernel's own limit (path_resolution(7)).
const MOST_LINKS: u32 = 40;
/// The owner that is shown where the real one has no number in this user namespace (user_namespaces(7)).
const UNMAPPED: u32 = 65534;

/// A directory, or a file in one, that another user could have tampered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsafe {
    /// The directory or file.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) problem: String,
    /// How to mend it.
    pub(crate) hint: String,
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`\nhint: {}", self.problem, self.path.display(), self.hint)
    }
}

impl std::error::Error for Unsafe {}

impl Unsafe {
    fn error(path: &Path, problem: String, hint: String) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, Self { path: path.to_owned(), problem, hint })
    }

    /// The same, where an error is one.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

/// An open directory that no other user can tamper with.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    owner: u32,
    mode: u32,
}

impl Directory {
    /// Opens a directory of this user; makes it, for this user alone, if there is none.
    ///
    /// # Errors
    /// Fails if it cannot be made or opened, and with an [`Unsafe`] if another user could tamper with it.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        // Nothing is made where another user decides where that is.
        if let Some(above) = path.ancestors().find(|above| above.exists()).filter(|above| *above != path) {
            resolve(above, &trusted(me()))?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Self::open(&path, me())
    }

    /// Opens a directory of this user or, for root, of any user: to read what is there, not to write.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub(crate) fn open_to_read(path: &Path) -> io::Result<Self> {
        let owner = path.metadata()?.uid();
        Self::open(path, if me() == 0 { owner } else { me() })
    }

    fn open(path: &Path, owner: u32) -> io::Result<Self> {
        // Before what is above it: it is what the user has named.
        check_owner(path, path.metadata()?.uid(), owner)?;
        let resolved = resolve(path, &trusted(owner))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&resolved, flags, Mode::empty())?;
        Self::checked(fd, resolved, owner)
    }

    /// Opens a directory in this one, which may not be a symbolic link; makes it if there is none.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub(crate) fn subdirectory(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat(&self.fd, name, flags, Mode::empty());
        let fd = match open() {
            Err(Errno::NOENT) => {
                match mkdirat(&self.fd, name, Mode::RWXU) {
                    // Another program may have been faster.
                    Ok(()) | Err(Errno::EXIST) => open()?,
                    Err(error) => return Err(error.into()),
                }
            }
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(not_a(&path, "directory")),
            opened => opened?,
        };
        Self::checked(fd, path, self.owner)
    }

    fn checked(fd: OwnedFd, path: PathBuf, owner: u32) -> io::Result<Self> {
        let about = fstat(&fd)?;
        check_owner(&path, about.st_uid, owner)?;
        check_mode(&path, about.st_mode)?;
        Ok(Self { fd, path, owner, mode: about.st_mode & 0o7777 })
    }

    /// The path without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The permissions of the directory.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    /// Opens a file, which must be a regular one that belongs to the owner of the directory. With `CREATE` a new file is for
    /// its owner alone. `TRUNC` would empty a file before it is looked at.
    ///
    /// # Errors
    /// Fails if it cannot be opened, and with an [`Unsafe`] if another user may have put it there or may write to it.
    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> io::Result<(File, Stat)> {
        // Opening a pipe would wait for its other end.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = openat(&self.fd, name, flags, FILE_MODE).map_err(|error| match error {
            Errno::LOOP | Errno::NXIO => not_a(&self.path.join(name), "regular file"),
            error => error.into(),
        })?;
        let about = fstat(&fd)?;
        self.check_file(name, &about)?;
        Ok((fd.into(), about))
    }

    /// Makes a file that was not there, to be written and read.
    ///
    /// # Errors
    /// Fails if it is there or cannot be made.
    pub(crate) fn create_file(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL).map(|(file, _)| file)
    }

    /// Describes a file without opening it; `None` if there is none.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub(crate) fn inspect(&self, name: &str) -> io::Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => self.check_file(name, &about).map(|()| Some(about)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file, or a link as such.
    ///
    /// # Errors
    /// Fails if it is not there or cannot be removed.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Renames a file within the directory, in place of what has the new name.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Brings the names in the directory to the disk.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    fn check_file(&self, name: &str, about: &Stat) -> io::Result<()> {
        let path = self.path.join(name);
        if !FileType::from_raw_mode(about.st_mode).is_file() {
            return Err(not_a(&path, "regular file"));
        }
        check_owner(&path, about.st_uid, self.owner)?;
        check_mode(&path, about.st_mode & !STICKY)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The users that may own what is above a directory.
fn trusted(owner: u32) -> Vec<u32> {
    let mut users = vec![0, me(), owner];
    // The root of the machine has no number in a namespace of a few users, such as that of a rootless container.
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if map.split_ascii_whitespace().nth(2) != Some("4294967295") {
        users.push(UNMAPPED);
    }
    users
}

/// Follows a path to a directory, link by link, and returns it without them.
fn resolve(path: &Path, trusted: &[u32]) -> io::Result<PathBuf> {
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    let mut left = components(&std::path::absolute(path)?);
    while let Some(name) = left.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        let about = next.symlink_metadata()?;
        if !trusted.contains(&about.uid()) {
            let (user, me) = (about.uid(), me());
            let problem = format!("user {user} could replace what is there, and dockbell runs as user {me}");
            let hint = format!("name another directory, such as one below `/var/lib`, or run dockbell as user {user}");
            return Err(Unsafe::error(&next, problem, hint));
        }
        if about.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            let target = next.read_link()?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(components(&target));
        } else {
            check_mode(&next, about.mode())?;
            at = next;
        }
    }
    Ok(at)
}

/// The names in a path, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}

fn check_owner(path: &Path, found: u32, owner: u32) -> io::Result<()> {
    if found == owner {
        return Ok(());
    }
    let me = me();
    let problem = format!("it belongs to user {found}, and dockbell runs as user {me}");
    Err(Unsafe::error(path, problem, format!("`chown -R {owner}` it, or run dockbell as user {found}")))
}

/// Refuses what every user may write to. In a sticky directory they cannot touch what others have put there.
fn check_mode(path: &Path, mode: u32) -> io::Result<()> {
    if mode & ALL_WRITE == 0 || mode & STICKY != 0 {
        return Ok(());
    }
    let problem = format!("every user may write to it, its mode is {:o}", mode & 0o7777);
    Err(Unsafe::error(path, problem, "`chmod o-w` it, or name another directory".to_owned()))
}

fn not_a(path: &Path, what: &str) -> io::Error {
    Unsafe::error(path, format!("it is not a {what}"), "remove it; dockbell makes what it needs".to_owned())
}

#[cfg(test)]
mod tests;
