//! Where the state is kept, and whether that place will do.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::open::Notice;
use super::{StoreError, filesystem};
use crate::private::{Directory, Unsafe};

/// Where the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: in memory, gone at the end.
    Memory,
    /// In a directory.
    Directory(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("none"),
            Self::Directory(directory) => write!(f, "`{}`", directory.display()),
        }
    }
}

impl Place {
    /// Decides where the state is kept: by the argument (`--state`), else by `DOCKBELL_STATE` (for both, `none` means in
    /// memory), else in the first of `STATE_DIRECTORY` (which systemd sets for `StateDirectory=`), else in
    /// `$XDG_STATE_HOME/dockbell`, else in `~/.local/state/dockbell`. An empty variable counts as none, and so does an
    /// `XDG_STATE_HOME` that is not absolute, as its specification wants.
    ///
    /// # Errors
    /// [`StoreError::Directory`] when there is not even a `HOME`.
    pub fn choose(argument: Option<&OsStr>, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, StoreError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(said) = argument.map(OsStr::to_owned).or_else(|| variable("DOCKBELL_STATE")) {
            return Ok(if said == "none" { Self::Memory } else { Self::Directory(said.into()) });
        }
        if let Some(first) = variable("STATE_DIRECTORY").and_then(|list| std::env::split_paths(&list).next()) {
            return Ok(Self::Directory(first));
        }
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || absolute("HOME").map(|home| home.join(".local/state"));
        let base = absolute("XDG_STATE_HOME").or_else(home).ok_or_else(|| StoreError::Directory {
            path: PathBuf::from("~/.local/state/dockbell"),
            problem: "there is no home directory".to_owned(),
            hint: "name a directory with `--state` or `DOCKBELL_STATE`, or say `--state none` to keep nothing"
                .to_owned(),
        })?;
        Ok(Self::Directory(base.join("dockbell")))
    }
}

/// Makes the directory if there is none, for its owner alone, and looks whether the store can promise anything there.
pub(super) fn prepare(path: &Path, force: bool) -> Result<(Directory, Vec<Notice>), StoreError> {
    let directory = Directory::create(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            refuse(path, "it is no directory", "move the file away, or name another directory with `--state`")
        }
        _ => unusable(path, &error),
    })?;
    let mut notices = Vec::new();
    // Left as it is: it may be a directory that others need, such as `/var/lib`. The files are for their owner alone.
    if directory.mode() & 0o022 != 0 {
        notices.push(Notice::Open { path: path.to_owned(), mode: directory.mode() });
    }
    notices.extend(filesystem::judge(path, force)?);
    Ok((directory, notices))
}

fn refuse(path: &Path, problem: &str, hint: &str) -> StoreError {
    StoreError::Directory { path: path.to_owned(), problem: problem.to_owned(), hint: hint.to_owned() }
}

/// An error of the system with the advice that belongs to it.
pub(super) fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    if let Some(Unsafe { path, problem, hint }) = Unsafe::of(error) {
        return refuse(path, problem, hint);
    }
    let me = rustix::process::geteuid().as_raw();
    let hint = match error.kind() {
        ErrorKind::ReadOnlyFilesystem => {
            "mount a writable volume there, or name another directory with `--state`; `--state none` keeps nothing"
                .to_owned()
        }
        ErrorKind::PermissionDenied => format!("let user {me} write there, or name another directory with `--state`"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on that volume".to_owned(),
        ErrorKind::NotADirectory => {
            "a part of the path is a file: move it away, or name another directory with `--state`".to_owned()
        }
        _ => "name another directory with `--state`".to_owned(),
    };
    refuse(path, &error.to_string(), &hint)
}

#[cfg(test)]
mod tests;
