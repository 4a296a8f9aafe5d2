//! Whether a state directory could be used, without making one.

use std::io::{Error, ErrorKind};
use std::path::Path;

use super::StoreError;
use super::directory::unusable;
use super::filesystem;
use super::open::Notice;

/// Looks whether the store can be kept in a directory that is there, or be made there with all missing folders above it.
/// Returns what is doubtful about the place. Nothing is left behind.
///
/// # Errors
/// [`StoreError::Directory`] if the directory cannot be made, or if it is none, or cannot be written to.
pub fn probe(directory: &Path) -> Result<Option<Notice>, StoreError> {
    let whole = std::path::absolute(directory).map_err(|error| unusable(directory, &error))?;
    for folder in whole.ancestors() {
        match folder.metadata() {
            Ok(about) if about.is_dir() => {
                tempfile::tempfile_in(folder).map_err(|error| unusable(directory, &error))?;
                return filesystem::judge(folder, false);
            }
            Ok(_) => return Err(unusable(directory, &ErrorKind::NotADirectory.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(directory, &error)),
        }
    }
    Err(unusable(directory, &Error::from(ErrorKind::NotFound)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_can_be_made_will_do_and_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b/state");
        probe(&state).unwrap();
        probe(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for state in [file.clone(), file.join("state"), "/proc/dockbell/state".into()] {
            let error = probe(&state).unwrap_err().to_string();
            assert!(error.contains(&format!("`{}`", state.display())) && error.contains("\nhint: "), "{error}");
        }
    }
}
