//! One instance per state directory.
//!
//! The lock is `flock` on a file, not the process number in it: in a container every process has the same few numbers.
//! The content is for people, and for the next start: a holder that ended well wipes it, so what is found there tells of one
//! that did not.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StoreError;
use super::directory::unusable;

/// Name of the lock file.
const NAME: &str = "dockbell.lock";
/// How much of the file is read: a line that dockbell wrote has fewer bytes.
const LONGEST: u64 = 1024;

/// The right to use a state directory; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    /// Who held it before and did not end well.
    pub crashed: Option<String>,
}

impl Lock {
    /// Takes the lock of a directory, at once or not at all.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the name of the holder; [`StoreError::Directory`] when the file cannot be used.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(NAME);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = file.map_err(|error| unusable(&path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = content(&mut file).unwrap_or_else(|| "another instance".to_owned());
                return Err(StoreError::Locked { path, holder });
            }
            Err(error) => return Err(unusable(&path, &error.into())),
        }
        let crashed = content(&mut file);
        let mut lock = Self { file, path, crashed };
        lock.write(&holder())?;
        Ok(lock)
    }

    /// Says that the holder ended well.
    pub(super) fn wipe(&mut self) -> Result<(), StoreError> {
        self.write("")
    }

    fn write(&mut self, text: &str) -> Result<(), StoreError> {
        let length = text.len() as u64;
        let written = self
            .file
            .rewind()
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .and_then(|()| self.file.set_len(length))
            .and_then(|()| self.file.sync_all());
        match written {
            // The lock holds without its text; a full disk must not keep dockbell from working.
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
            written => written.map_err(|error| unusable(&self.path, &error)),
        }
    }
}

fn content(file: &mut File) -> Option<String> {
    let mut bytes = Vec::new();
    file.rewind().ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn holder() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("process {} on `{name}` since {:.0}\n", std::process::id(), Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_instance_is_told_who_holds_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::take(directory.path()).unwrap();
        let refused = Lock::take(directory.path()).unwrap_err();
        let StoreError::Locked { holder, .. } = &refused else { panic!("{refused}") };
        assert!(holder.contains(&format!("process {} on `", std::process::id())), "{holder}");
        assert!(refused.to_string().contains("\nhint: stop that instance"), "{refused}");
        drop(lock);
        Lock::take(directory.path()).unwrap();
    }

    #[test]
    fn a_holder_that_did_not_end_well_is_known_to_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = Lock::take(directory.path()).unwrap();
        assert_eq!(first.crashed, None);
        first.wipe().unwrap();
        drop(first);
        let second = Lock::take(directory.path()).unwrap();
        assert_eq!(second.crashed, None);
        drop(second);
        let third = Lock::take(directory.path()).unwrap();
        assert!(third.crashed.as_deref().is_some_and(|who| who.starts_with("process ")), "{third:?}");
    }

    #[test]
    fn any_content_of_the_file_is_survived() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(NAME), [0xff, 0x1b, b'[', 0, b'x', b'\n']).unwrap();
        assert_eq!(Lock::take(directory.path()).unwrap().crashed.as_deref(), Some("\u{fffd}[x"));
    }
}
