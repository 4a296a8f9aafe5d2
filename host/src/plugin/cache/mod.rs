//! Compiled components on disk, so that the next start does not compile them again.
//!
//! What lies here is run as machine code, so nothing is believed: the folder and each file must belong to this user and be
//! writable by nobody else, and each file begins with a checksum of what follows. Whatever does not fit is compiled anew.

mod folder;
mod key;
mod trim;

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, OFlags, Timestamps, UTIME_NOW, futimens, renameat, unlinkat};
use xxhash_rust::xxh3::xxh3_128;

use super::native::Trusted;
pub use folder::cache_folder;
pub(super) use key::Key;

/// Bytes of the checksum that a file begins with. It finds what a disk has damaged; who may write the file could make any
/// checksum fit, and a slow one would be half of the time that a plugin of 30 MB takes to start.
const CHECKSUM: usize = 16;
/// How often the time of a file is renewed that is used; a start must not always write.
const RENEWED_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A folder of compiled components.
#[derive(Debug)]
pub(super) struct Cache {
    /// All files are opened below this one folder, whatever is put at its path later.
    folder: OwnedFd,
    path: PathBuf,
}

impl Cache {
    /// Opens, or makes, the folder `components` in `root`.
    ///
    /// # Errors
    /// It cannot be made, or others could write to it; the text says what and how to mend it.
    pub(super) fn open(root: &Path) -> Result<Self, String> {
        let path = root.join("components");
        let folder = folder::open(&path)?;
        Ok(Self { folder, path })
    }

    /// The machine code of a component, if it is here and was not tampered with.
    pub(super) fn get(&self, key: &Key) -> Option<Trusted> {
        match self.read(&key.file()) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let path = self.path.join(key.file());
                tracing::warn!("`{}` is not used, its plugin is compiled again: {error}", path.display());
                None
            }
        }
    }

    fn read(&self, name: &str) -> io::Result<Trusted> {
        let (mut file, about) = folder::open_file(&self.folder, name)?;
        let mut sum = [0; CHECKSUM];
        file.read_exact(&mut sum)?;
        let mut code = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default());
        file.read_to_end(&mut code)?;
        if checksum(&code) != sum {
            return Err(io::Error::other("it is damaged"));
        }
        let age = about.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age > RENEWED_EVERY) {
            let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
            // On a file system that is only read from nothing is trimmed either.
            let _ = futimens(&file, &Timestamps { last_access: now, last_modification: now });
        }
        Ok(Trusted(code))
    }

    /// Keeps the machine code of a component. Where that fails the next start compiles it again; the log says so.
    pub(super) fn put(&self, key: &Key, code: &[u8]) {
        // Two programs may write the same at once.
        let temporary = format!("{}.{}", ulid::Ulid::generate(), trim::TEMPORARY);
        let kept = self.write(&temporary, code).and_then(|()| {
            renameat(&self.folder, &temporary, &self.folder, key.file())?;
            rustix::fs::fsync(&self.folder)?;
            trim::trim(&self.folder, SystemTime::now())
        });
        if let Err(error) = kept {
            // It may never have come about.
            let _ = unlinkat(&self.folder, &temporary, AtFlags::empty());
            tracing::info!("a compiled plugin cannot be kept in `{}`: {error}", self.path.display());
        }
    }

    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, name, flags, folder::FILE_MODE)?;
        let mut file = std::fs::File::from(file);
        file.write_all(&checksum(code))?;
        file.write_all(code)?;
        file.sync_all()
    }
}

fn checksum(code: &[u8]) -> [u8; CHECKSUM] {
    xxh3_128(code).to_be_bytes()
}
