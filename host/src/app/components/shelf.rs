//! The folder in which fetched components are kept, by their digests. Whatever is taken from it is checked.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::SystemTime;

use super::error::Failure;
use crate::config::Sha256;
use crate::plugin::{Use, cache_folder, remove_unused, renew};
use crate::store::Place;

/// How the name of a file begins that is kept, and how one ends that is being written.
const NAMES: (&str, &str) = ("sha256-", ".new");

/// Where fetched components are kept.
#[derive(Debug, Clone)]
pub struct Shelf(Option<PathBuf>);

impl Shelf {
    /// The folder `components` in the state directory. Without one, `fetched` beside the compiled plugins.
    #[must_use]
    pub fn of(place: &Place) -> Self {
        Self(match place {
            Place::Directory(state) => Some(state.join("components")),
            Place::Memory => cache_folder(|name| std::env::var_os(name)).map(|cache| cache.join("fetched")),
        })
    }

    /// The path of what has this digest.
    pub(super) fn path(&self, digest: Sha256) -> Result<PathBuf, Failure> {
        self.0.as_ref().map(|folder| folder.join(format!("{}{digest}", NAMES.0))).ok_or(Failure::NoShelf)
    }

    /// What has this digest, if it is here, whole, and has at most `most` bytes.
    pub(super) fn get(&self, digest: Sha256, most: u64) -> Option<Vec<u8>> {
        let path = self.path(digest).ok()?;
        let (mut file, mut bytes) = (File::open(path).ok()?, Vec::new());
        (&mut file).take(most).read_to_end(&mut bytes).ok()?;
        renew(&file, &file.metadata().ok()?);
        (Sha256::of(&bytes) == digest).then_some(bytes)
    }

    /// Whether it is here and whole.
    pub(super) fn has(&self, digest: Sha256, bytes: u64) -> bool {
        self.get(digest, bytes + 1).is_some()
    }

    /// Keeps what has this digest.
    pub(super) fn put(&self, digest: Sha256, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(digest)?;
        // Two programs may write the same at once.
        let temporary = path.with_file_name(format!("{}{}", ulid::Ulid::generate(), NAMES.1));
        let kept = self.write(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
        kept.map_err(|error| {
            // It may never have come about.
            let _ = fs::remove_file(&temporary);
            Failure::Shelf { folder: self.0.as_deref().unwrap_or(&path).display().to_string(), error }
        })
    }

    /// Removes what has not been wanted for long, and nothing that is not the shelf's own. Called when all that is wanted now
    /// is here, so that its time is renewed.
    pub(super) fn tidy(&self) {
        let Some(Ok(folder)) = self.0.as_ref().map(File::open) else { return };
        // A folder that cannot be read will be met again by who wants something of it.
        let _ = remove_unused(folder, SystemTime::now(), |name| match name {
            kept if kept.starts_with(NAMES.0) => Some(Use::Kept),
            temporary if temporary.ends_with(NAMES.1) => Some(Use::Temporary),
            _ => None,
        });
    }

    fn write(&self, path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
        let Some(folder) = &self.0 else { return Err(io::ErrorKind::NotFound.into()) };
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }
}
