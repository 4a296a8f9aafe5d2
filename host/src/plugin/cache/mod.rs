//! Compiled components on disk, so that the next start does not compile them again.
//!
//! What lies here is run as machine code, so nothing is believed: the folder and each file must belong to this user and be
//! writable by nobody else, and each file ends with a checksum of what is before. Whatever does not fit is compiled anew.

mod folder;
mod key;
mod trim;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::native::Trusted;
use crate::private::Directory;
pub use folder::cache_folder;
pub(super) use key::Key;
pub(crate) use trim::{Use, remove_unused, renew};

/// Bytes of the checksum that a file ends with. It finds what a disk has damaged; who may write the file could make any
/// checksum fit, and a slow one would be half of the time that a plugin of 30 MB takes to start.
const CHECKSUM: usize = 16;
/// Bytes that are read at once. They come from the page cache, and stay in that of the processor.
const PIECE: usize = 128 << 10;

/// A folder of compiled components.
#[derive(Debug)]
pub(super) struct Cache {
    /// All files are opened below this one folder, whatever is put at its path later.
    folder: Directory,
}

impl Cache {
    /// Opens, or makes, the folder `components` in `root`.
    ///
    /// # Errors
    /// It cannot be made, or others could write to it; the text says what and how to mend it.
    pub(super) fn open(root: &Path) -> Result<Self, String> {
        Ok(Self { folder: folder::open(root, "components")? })
    }

    /// The machine code of a component, if it is here and was not tampered with.
    pub(super) fn get(&self, key: &Key) -> Option<Trusted> {
        match self.read(&key.file()) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let path = self.folder.path().join(key.file());
                tracing::warn!("`{}` is not used, its plugin is compiled again: {error}", path.display());
                None
            }
        }
    }

    fn read(&self, name: &str) -> io::Result<Trusted> {
        let (file, about) = folder::open_file(&self.folder, name)?;
        if !is_whole(&file, about.len())? {
            return Err(io::Error::other("it is damaged"));
        }
        trim::renew(&file, &about);
        Ok(Trusted::Kept(file))
    }

    /// Keeps the machine code of a component. Where that fails the next start compiles it again; the log says so.
    pub(super) fn put(&self, key: &Key, code: &[u8]) {
        // Two programs may write the same at once.
        let temporary = format!("{}.{}", ulid::Ulid::generate(), trim::TEMPORARY);
        let kept = self.write(&temporary, code).and_then(|()| {
            self.folder.rename(&temporary, &key.file())?;
            self.folder.sync()?;
            trim::trim(&self.folder, SystemTime::now())
        });
        if let Err(error) = kept {
            // It may never have come about.
            let _ = self.folder.remove(&temporary);
            tracing::info!("a compiled plugin cannot be kept in `{}`: {error}", self.folder.path().display());
        }
    }

    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let mut file = self.folder.create_file(name)?;
        file.write_all(code)?;
        file.write_all(&xxh3_128(code).to_be_bytes())?;
        file.sync_all()
    }
}

/// Whether a file of this length has the checksum that it says it has; looks without all of it in memory.
fn is_whole(file: &File, length: u64) -> io::Result<bool> {
    let end = length.checked_sub(CHECKSUM as u64).ok_or_else(|| io::Error::other("it is cut off"))?;
    let (mut sum, mut piece, mut at) = (Xxh3Default::new(), vec![0; PIECE], 0);
    while at < end {
        let wanted = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
        file.read_exact_at(&mut piece[..wanted], at)?;
        sum.update(&piece[..wanted]);
        at += wanted as u64;
    }
    let mut said = [0; CHECKSUM];
    file.read_exact_at(&mut said, end)?;
    Ok(sum.digest128().to_be_bytes() == said)
}
