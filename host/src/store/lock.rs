//! One instance per state directory.
//!
//! The lock is `flock` on a file, not the process number in it: in a container every process has the same few numbers.
//! The content is for people, and for the next start: a holder that ended well wipes it, so what is found there tells of one
//! that did not.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::StoreError;
use super::directory::unusable;
use crate::private::Directory;
use crate::text;

/// Name of the lock file.
pub(super) const NAME: &str = "dockbell.lock";
/// How much of the file is read: a line that dockbell wrote has fewer bytes.
const LONGEST: usize = 1024;

/// What stands before the reason when the last holder found the database damaged.
const DAMAGED: &str = "damaged: ";

/// The right to use a state directory; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: Mutex<File>,
    path: PathBuf,
    damaged: AtomicBool,
    /// How the one that held it before ended.
    pub last: Last,
}

/// How the last holder of a lock ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Last {
    /// Well, or there was none.
    Well,
    /// Not by itself; who that was.
    Crashed(String),
    /// With a damaged database; what it found.
    Damaged(String),
}

impl Lock {
    /// Takes the lock of a directory, at once or not at all.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the name of the holder; [`StoreError::Directory`] when the file cannot be used.
    pub(super) fn take(directory: &Directory) -> Result<Self, StoreError> {
        let path = directory.path().join(NAME);
        let opened = directory.open_file(NAME, OFlags::RDWR | OFlags::CREATE);
        let (mut file, _) = opened.map_err(|error| unusable(&path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = content(&mut file).unwrap_or_else(|| "another instance".to_owned());
                return Err(StoreError::Locked { path, holder });
            }
            Err(error) => return Err(unusable(&path, &error.into())),
        }
        let last = content(&mut file).map_or(Last::Well, |text| match text.strip_prefix(DAMAGED) {
            Some(why) => Last::Damaged(why.to_owned()),
            None => Last::Crashed(text),
        });
        // What was found to be damaged stays so until it was moved aside.
        let text = if let Last::Damaged(why) = &last { format!("{DAMAGED}{why}\n") } else { holder() };
        let lock = Self { file: Mutex::new(file), path, damaged: AtomicBool::new(false), last };
        lock.write(&text)?;
        Ok(lock)
    }

    /// Says who holds it, now that nothing is known to be damaged.
    pub(super) fn name_holder(&self) -> Result<(), StoreError> {
        self.write(&holder())
    }

    /// Says that the holder ended well, unless it found damage.
    pub(super) fn wipe(&self) -> Result<(), StoreError> {
        if self.damaged.load(Ordering::Acquire) { Ok(()) } else { self.write("") }
    }

    /// Keeps it for the next start if an error says that the database is damaged.
    pub(super) fn note(&self, error: Option<&StoreError>) {
        if let Some(StoreError::Corrupt { error, .. }) = error {
            // Without the mark, the next start still checks the whole database.
            let _ = self.mark_damaged(error);
        }
    }

    /// Lets the next start move the database aside, even if its own checks find nothing.
    fn mark_damaged(&self, why: &str) -> Result<(), StoreError> {
        self.damaged.store(true, Ordering::Release);
        self.write(&format!("{DAMAGED}{}\n", why.lines().next().unwrap_or_default()))
    }

    fn write(&self, text: &str) -> Result<(), StoreError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file
            .rewind()
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.set_len(text.len() as u64))
            .and_then(|()| file.sync_all());
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
    file.take(LONGEST as u64).read_to_end(&mut bytes).ok()?;
    let text = text::one_line(&String::from_utf8_lossy(&bytes), LONGEST);
    (!text.is_empty()).then_some(text)
}

fn holder() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("process {} on `{name}` since {:.0}\n", std::process::id(), Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(directory: &tempfile::TempDir) -> Result<Lock, StoreError> {
        Lock::take(&Directory::create(directory.path()).unwrap())
    }

    #[test]
    fn the_second_instance_is_told_who_holds_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let lock = take(&directory).unwrap();
        let refused = take(&directory).unwrap_err();
        let StoreError::Locked { holder, .. } = &refused else { panic!("{refused}") };
        assert!(holder.contains(&format!("process {} on `", std::process::id())), "{holder}");
        assert!(refused.to_string().contains("\nhint: stop that instance"), "{refused}");
        drop(lock);
        take(&directory).unwrap();
    }

    #[test]
    fn a_holder_that_did_not_end_well_is_known_to_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let first = take(&directory).unwrap();
        assert_eq!(first.last, Last::Well);
        first.wipe().unwrap();
        drop(first);
        let second = take(&directory).unwrap();
        assert_eq!(second.last, Last::Well);
        drop(second);
        let third = take(&directory).unwrap();
        assert!(matches!(&third.last, Last::Crashed(who) if who.starts_with("process ")), "{third:?}");
    }

    #[test]
    fn damage_that_was_found_is_known_until_it_was_dealt_with() {
        let directory = tempfile::tempdir().unwrap();
        take(&directory).unwrap().mark_damaged("a page\nis gone").unwrap();
        for _ in 0..2 {
            assert_eq!(take(&directory).unwrap().last, Last::Damaged("a page".to_owned()));
        }
        take(&directory).unwrap().name_holder().unwrap();
        assert!(matches!(take(&directory).unwrap().last, Last::Crashed(_)));
    }

    #[test]
    fn any_content_of_the_file_is_survived() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(NAME), [0xff, 0x1b, b'[', 0, b'x', b'\n']).unwrap();
        assert_eq!(take(&directory).unwrap().last, Last::Crashed("\u{fffd}\u{fffd}[\u{fffd}x".to_owned()));
    }
}
