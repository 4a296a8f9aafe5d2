//! Where the cache is, and who may write there.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::environment;
use crate::private::{Directory, Unsafe};

/// The bits of a mode with which others than the owner may write. Elsewhere a group may, which has perhaps one member; but
/// what lies here is run.
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
pub(super) fn open(root: &Path, name: &str) -> Result<Directory, String> {
    let opened = Directory::create(root).and_then(|root| root.subdirectory(name));
    let folder = opened.map_err(|error| match Unsafe::of(&error) {
        Some(refused) => refused.to_string(),
        None => format!(
            "`{}` cannot be used: {error}\nhint: name another folder by `DOCKBELL_CACHE`",
            root.join(name).display()
        ),
    })?;
    match others_write(folder.mode()) {
        false => Ok(folder),
        true => Err(format!(
            "others may write to `{}`, its mode is {:o}\nhint: remove it; it is made again, for this user alone",
            folder.path().display(),
            folder.mode()
        )),
    }
}

/// Opens a file of the folder that only this user can have written.
pub(super) fn open_file(folder: &Directory, name: &str) -> io::Result<(File, Metadata)> {
    let (file, about) = folder.open_file(name, OFlags::RDONLY)?;
    if others_write(about.st_mode) {
        return Err(io::Error::other(format!("others may write to it, its mode is {:o}", about.st_mode & 0o7777)));
    }
    let about = file.metadata()?;
    Ok((file, about))
}

/// Whether others than the owner may write to something: machine code is believed only if they may not.
fn others_write(mode: u32) -> bool {
    mode & OTHERS_WRITE != 0
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
