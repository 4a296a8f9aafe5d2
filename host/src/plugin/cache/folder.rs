//! Where the cache is, and who may write there.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::config::environment;

/// What the owner may do with a file, and nobody else.
pub(super) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// The bits of a mode with which others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;

/// Where compiled plugins are kept by default, asking for environment variables: `DOCKBELL_CACHE`, else systemd's
/// `CACHE_DIRECTORY`, else `dockbell` in `XDG_CACHE_HOME` or in `.cache` of `HOME`. None where none of them is set to an
/// absolute path.
#[must_use]
pub fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd separates several folders by a colon.
    let systemd = || {
        let all = variable("CACHE_DIRECTORY")?.into_string().ok()?;
        all.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
    };
    path(environment::CACHE)
        .or_else(systemd)
        .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("dockbell")))
        .or_else(|| path("HOME").map(|home| home.join(".cache/dockbell")))
}

/// Opens the folder, made for this user alone where it is not there.
pub(super) fn open(path: &Path) -> Result<OwnedFd, String> {
    let failed = |error: io::Error| {
        format!("`{}` cannot be used: {error}\nhint: name another folder by `DOCKBELL_CACHE`", path.display())
    };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => {
            failed(io::Error::other("it is a symbolic link, or no folder"))
        }
        error => failed(error.into()),
    })?;
    let folder = File::from(folder);
    let about = folder.metadata().map_err(failed)?;
    match doubt(&about) {
        None => Ok(folder.into()),
        Some(doubt) => Err(format!(
            "`{}` is not used: {doubt}\nhint: remove it; it is made again, for this user alone",
            path.display()
        )),
    }
}

/// Opens a file of the folder that only this user can have written.
pub(super) fn open_file(folder: impl AsFd, name: &str) -> io::Result<(File, Metadata)> {
    // Opening a pipe would wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP => io::Error::other("it is a symbolic link"),
        error => error.into(),
    })?;
    let file = File::from(file);
    let about = file.metadata()?;
    match doubt(&about) {
        None if about.is_file() => Ok((file, about)),
        None => Err(io::Error::other("it is no file")),
        Some(doubt) => Err(io::Error::other(doubt)),
    }
}

/// Why others may have written there.
fn doubt(about: &Metadata) -> Option<String> {
    let me = rustix::process::geteuid().as_raw();
    if about.uid() != me {
        Some(format!("it belongs to user {} and not to user {me}", about.uid()))
    } else if about.mode() & OTHERS_WRITE != 0 {
        Some(format!("others may write to it (mode {:o})", about.mode() & 0o7777))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_one_that_is_named_most_closely() {
        let set: [(&str, &str); 4] =
            [("DOCKBELL_CACHE", "/a"), ("CACHE_DIRECTORY", "/b:/c"), ("XDG_CACHE_HOME", "/d"), ("HOME", "/e")];
        let expected = ["/a", "/b", "/d/dockbell", "/e/.cache/dockbell"];
        for (at, expected) in expected.iter().enumerate() {
            let variable = |name: &str| set[at..].iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
            assert_eq!(cache_folder(variable), Some(PathBuf::from(expected)));
        }
        assert_eq!(cache_folder(|_| None), None);
        assert_eq!(cache_folder(|_| Some("relative".into())), None);
        assert_eq!(cache_folder(|_| Some("".into())), None);
    }
}
