//! The folder in which fetched components are kept, by their digests. Whatever is taken from it is checked.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::error::Failure;
use crate::config::{Environment, Sha256};
use crate::plugin::{Use, cache_folder, remove_unused, renew};
use crate::private::Directory;
use crate::store::Place;

/// How the name of a file begins that is kept, and how one ends that is being written.
const NAMES: (&str, &str) = ("sha256-", ".new");

/// Name of the folder in the state directory.
const IN_STATE: &str = "components";
/// Name of the folder beside the compiled plugins.
const IN_CACHE: &str = "fetched";

/// Where fetched components are kept: a directory, and the name of the folder in it.
#[derive(Debug, Clone)]
pub struct Shelf(Option<(PathBuf, &'static str)>);

impl Shelf {
    /// The folder `components` in the state directory. Without one, `fetched` beside the compiled plugins.
    #[must_use]
    pub fn of(place: &Place) -> Self {
        Self(match place {
            Place::Directory(state) => Some((state.clone(), IN_STATE)),
            Place::Memory => cache_folder(|name| Environment::of_process().owned(name)).map(|cache| (cache, IN_CACHE)),
        })
    }

    /// The path of what has this digest.
    pub(super) fn path(&self, digest: Sha256) -> Result<PathBuf, Failure> {
        self.folder().map(|folder| folder.join(name(digest))).ok_or(Failure::NoShelf)
    }

    /// What has this digest, if it is here, whole, and has at most `most` bytes.
    pub(super) fn get(&self, digest: Sha256, most: u64) -> Option<Vec<u8>> {
        let (file, _) = self.open().ok()?.open_file(&name(digest), OFlags::RDONLY).ok()?;
        let mut bytes = Vec::new();
        (&file).take(most).read_to_end(&mut bytes).ok()?;
        renew(&file, &file.metadata().ok()?);
        (Sha256::of(&bytes) == digest).then_some(bytes)
    }

    /// Whether it is here and whole.
    pub(super) fn has(&self, digest: Sha256, bytes: u64) -> bool {
        self.get(digest, bytes + 1).is_some()
    }

    /// Keeps what has this digest.
    pub(super) fn put(&self, digest: Sha256, bytes: &[u8]) -> Result<(), Failure> {
        let failed = |error| match self.folder() {
            Some(folder) => Failure::Shelf { folder: folder.display().to_string(), error },
            None => Failure::NoShelf,
        };
        let folder = self.open().map_err(failed)?;
        // Two programs may write the same at once.
        let temporary = format!("{}{}", ulid::Ulid::generate(), NAMES.1);
        let written = folder.create_file(&temporary).and_then(|file| write(file, bytes));
        written.and_then(|()| folder.rename(&temporary, &name(digest))).map_err(|error| {
            // It may never have come about.
            let _ = folder.remove(&temporary);
            failed(error)
        })
    }

    /// Removes what has not been wanted for long, and nothing that is not the shelf's own. Called when all that is wanted now
    /// is here, so that its time is renewed.
    pub(super) fn tidy(&self) {
        // Where nothing was fetched no folder is made.
        let Some(Ok(folder)) = self.folder().filter(|folder| folder.exists()).map(|_| self.open()) else { return };
        // A folder that cannot be read will be met again by who wants something of it.
        let _ = remove_unused(folder, SystemTime::now(), |name| match name {
            kept if kept.starts_with(NAMES.0) => Some(Use::Kept),
            temporary if temporary.ends_with(NAMES.1) => Some(Use::Temporary),
            _ => None,
        });
    }

    fn folder(&self) -> Option<PathBuf> {
        self.0.as_ref().map(|(root, name)| root.join(name))
    }

    /// Opens the folder; makes it if there is none.
    fn open(&self) -> io::Result<Directory> {
        let (root, name) = self.0.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Directory::create(root)?.subdirectory(name)
    }
}

/// The name of what has this digest.
fn name(digest: Sha256) -> String {
    format!("{}{digest}", NAMES.0)
}

fn write(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}
