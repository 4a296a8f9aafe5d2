//! Old files are removed, so that a cache does not grow for ever.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, Timespec, Timestamps, UTIME_NOW, futimens, statat, unlinkat};

/// What the name of a compiled component ends in.
pub(super) const KEPT: &str = "compiled";
/// What the name of a file ends in that is being written.
pub(super) const TEMPORARY: &str = "tmp";
/// All files together: 512 MiB. Those of the bundled plugins have half a MiB each.
const MOST_BYTES: u64 = 512 << 20;
/// A file that no start has used for so long is of a plugin, or of a dockbell, that is gone.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 3600);
/// A file that is still being written after so long was left behind by a program that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);
/// How often the time of a file is renewed that is used; a start must not always write.
const RENEWED_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What a file is in a folder that dockbell fills by itself.
pub(crate) enum Use {
    /// Used by starts, each of which renews its time: see [`renew`].
    Kept,
    /// Being written.
    Temporary,
}

/// A file that stays.
pub(crate) struct Entry {
    name: String,
    bytes: u64,
    age: Duration,
}

/// Notes that a file is used, so that it stays.
pub(crate) fn renew(file: &File, about: &Metadata) {
    let age = about.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    if age.is_some_and(|age| age > RENEWED_EVERY) {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // On a file system that is only read from nothing is removed either.
        let _ = futimens(file, &Timestamps { last_access: now, last_modification: now });
    }
}

/// Removes what no start has used for 90 days and what was left behind while it was written, and answers what is kept. `what`
/// knows files by their names; a file that it does not know stays as it is.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn remove_unused(
    folder: impl AsFd,
    now: SystemTime,
    what: impl Fn(&str) -> Option<Use>,
) -> io::Result<Vec<Entry>> {
    let folder = folder.as_fd();
    let mut kept = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(what) = what(&name) else { continue };
        // Another program may have removed it meanwhile.
        let Ok(about) = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(about.st_mtime).unwrap_or_default());
        let age = now.duration_since(modified).unwrap_or_default();
        let bytes = u64::try_from(about.st_size).unwrap_or_default();
        match what {
            Use::Kept if age > UNUSED => remove(folder, &name),
            Use::Temporary if age > LEFT_BEHIND => remove(folder, &name),
            Use::Kept => kept.push(Entry { name, bytes, age }),
            Use::Temporary => {}
        }
    }
    Ok(kept)
}

/// Removes what is too old, and the oldest of what is too much. Touches no file that is not the cache's own.
pub(super) fn trim(folder: impl AsFd, now: SystemTime) -> io::Result<()> {
    let mut kept = remove_unused(&folder, now, |name| match name.rsplit_once('.') {
        Some((_, KEPT)) => Some(Use::Kept),
        Some((_, TEMPORARY)) => Some(Use::Temporary),
        _ => None,
    })?;
    kept.sort_by_key(|entry| entry.age);
    let mut bytes = 0;
    for entry in kept {
        bytes += entry.bytes;
        if bytes > MOST_BYTES {
            remove(folder.as_fd(), &entry.name);
        }
    }
    Ok(())
}

/// What cannot be removed stays; it will be tried again.
fn remove(folder: BorrowedFd<'_>, name: &str) {
    let _ = unlinkat(folder, name, AtFlags::empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    /// Makes files, trims as if it were so many days later, and says what is left.
    fn left(files: &[(&str, u64, u64)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for (name, bytes, days) in files {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_len(*bytes).unwrap();
            file.set_modified(now - Duration::from_secs(days * DAY)).unwrap();
        }
        trim(std::fs::File::open(folder.path()).unwrap(), now).unwrap();
        let names = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_not_used_for_90_days_and_what_was_left_behind_is_removed() {
        let files = [("a.compiled", 1, 89), ("b.compiled", 1, 91), ("c.tmp", 1, 0), ("d.tmp", 1, 1), ("notes", 1, 900)];
        assert_eq!(left(&files), ["a.compiled", "c.tmp", "notes"]);
    }

    #[test]
    fn of_more_than_512_mib_the_longest_unused_is_removed() {
        let third = 200 << 20;
        let files = [("a.compiled", third, 3), ("b.compiled", third, 1), ("c.compiled", third, 2)];
        assert_eq!(left(&files), ["b.compiled", "c.compiled"]);
    }
}
