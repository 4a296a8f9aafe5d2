//! Notices when files change, however that comes about: written in place, replaced by an editor, or behind a symbolic link
//! that leads elsewhere, as Kubernetes swaps the folder of a config map.
//!
//! The folders in which the files and the links to them lie are watched. What is compared is what is found at the paths, so
//! that other changes in these folders mean nothing. File systems that tell nothing of what others change are looked at every
//! ten seconds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How often is looked, whether a change was noticed or not.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Files are often changed in several steps. So long nothing must happen before they are looked at.
const QUIET: Duration = Duration::from_millis(200);
/// Where something happens always, it is looked all the same.
const LONGEST_QUIET: Duration = Duration::from_secs(2);
/// Links that lead to links, as the kernel allows them.
const MOST_LINKS: u32 = 40;

/// What is at the paths of some files.
pub(super) type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// What tells a file from another one, and from itself before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Files that are watched.
#[derive(Debug)]
pub(super) struct Files {
    seen: Stamps,
    notices: Option<Receiver>,
}

/// What is at paths now.
pub(super) fn stamps(paths: impl IntoIterator<Item = PathBuf>) -> Stamps {
    let stamped = |path: PathBuf| {
        let stamp = stamp(&path);
        (path, stamp)
    };
    paths.into_iter().map(stamped).collect()
}

/// What is at a path now; none where there is nothing.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let about: Metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: about.dev(),
        inode: about.ino(),
        bytes: about.len(),
        modified: (about.mtime(), about.mtime_nsec()),
        changed: (about.ctime(), about.ctime_nsec()),
    })
}

impl Files {
    /// Watches files; `seen` is what is known to be there.
    pub(super) fn watch(seen: Stamps) -> Self {
        let folders: BTreeSet<PathBuf> = seen.keys().flat_map(|path| folders(path)).collect();
        let notices = notices(&folders)
            .inspect_err(|error| {
                let seconds = LOOK_EVERY.as_secs();
                tracing::info!("changed files are noticed within {seconds} s, not at once: {error}");
            })
            .ok();
        Self { seen, notices }
    }

    /// What was found last.
    pub(super) fn seen(&self) -> &Stamps {
        &self.seen
    }

    /// Waits until one of the files is another one than it was.
    pub(super) async fn changed(&mut self) {
        loop {
            // The rest of the time nothing is noticed.
            if timeout(LOOK_EVERY, self.noticed()).await.is_ok() {
                let longest = Instant::now() + LONGEST_QUIET;
                while timeout_at(longest.min(Instant::now() + QUIET), self.noticed()).await.is_ok() {}
            }
            let paths: Vec<PathBuf> = self.seen.keys().cloned().collect();
            // A disk that does not answer must hold back nobody.
            let Ok(now) = tokio::task::spawn_blocking(move || stamps(paths)).await else { continue };
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }

    /// Waits until something happens in one of the folders.
    async fn noticed(&self) {
        let Some(notices) = &self.notices else { return std::future::pending().await };
        loop {
            let read = match notices.readable().await {
                Ok(()) => notices.try_read(&mut [0; 4096]),
                Err(error) => Err(error),
            };
            match read {
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return sleep(LOOK_EVERY).await,
            }
        }
    }
}

fn notices(folders: &BTreeSet<PathBuf>) -> io::Result<Receiver> {
    let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let events = WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE
        | WatchFlags::MOVE_SELF
        | WatchFlags::ATTRIB
        | WatchFlags::ONLYDIR;
    for folder in folders {
        inotify::add_watch(&notices, folder, events)?;
    }
    // Not a pipe, but read like one.
    Receiver::from_owned_fd_unchecked(notices)
}

/// The folders in which a change can make another file of the one at `path`: where it lies, and where each link on the way
/// to it lies. Of a folder that is not there the nearest one above it.
fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut left: VecDeque<PathBuf> = path.components().map(|part| PathBuf::from(part.as_os_str())).collect();
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = left.pop_front() {
        if part.components().next() == Some(Component::ParentDir) {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                folders.insert(at.clone());
                let parts = target.components().map(|part| PathBuf::from(part.as_os_str()));
                left = parts.chain(left).collect();
            }
            _ => at = next,
        }
    }
    at.pop();
    while !at.is_dir() && at.pop() {}
    folders.insert(at);
    folders
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn watch(paths: &[&Path]) -> Files {
        Files::watch(stamps(paths.iter().map(|path| path.to_path_buf())))
    }

    async fn is_noticed(files: &mut Files) -> bool {
        // Well before the look that needs no notice.
        timeout(Duration::from_secs(9), files.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_file_that_is_written_replaced_or_removed_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        fs::write(&file, "1").unwrap();
        let mut files = watch(&[&file]);
        fs::write(&file, "2").unwrap();
        assert!(is_noticed(&mut files).await);
        fs::write(&other, "3").unwrap();
        fs::rename(&other, &file).unwrap();
        assert!(is_noticed(&mut files).await);
        fs::remove_file(&file).unwrap();
        assert!(is_noticed(&mut files).await);
    }

    #[tokio::test]
    async fn other_files_of_the_folder_mean_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        fs::write(&file, "1").unwrap();
        let mut files = watch(&[&file]);
        fs::write(folder.path().join("b.toml"), "1").unwrap();
        assert!(timeout(Duration::from_secs(1), files.changed()).await.is_err());
    }

    #[tokio::test]
    async fn a_folder_behind_a_link_that_is_swapped_is_noticed_as_kubernetes_does_it() {
        let mount = tempfile::tempdir().unwrap();
        for version in ["..1", "..2"] {
            fs::create_dir(mount.path().join(version)).unwrap();
            fs::write(mount.path().join(version).join("a.toml"), version).unwrap();
        }
        symlink("..1", mount.path().join("..data")).unwrap();
        symlink("..data/a.toml", mount.path().join("a.toml")).unwrap();
        // And a path that leads through the link in its middle.
        let direct = mount.path().join("..data/a.toml");
        for path in [&mount.path().join("a.toml"), &direct] {
            let mut files = watch(&[path]);
            let target =
                if fs::read_link(mount.path().join("..data")).unwrap() == Path::new("..1") { "..2" } else { "..1" };
            symlink(target, mount.path().join("..data_tmp")).unwrap();
            fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
            assert!(is_noticed(&mut files).await, "{}", path.display());
        }
    }

    #[tokio::test]
    async fn a_file_that_comes_where_there_was_not_even_a_folder_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugins/a.wasm");
        let mut files = watch(&[&file]);
        fs::create_dir(folder.path().join("plugins")).unwrap();
        fs::write(&file, "1").unwrap();
        assert!(is_noticed(&mut files).await);
    }

    #[test]
    fn a_link_to_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("a");
        symlink("a", &link).unwrap();
        assert!(folders(&link).contains(folder.path()));
    }
}
