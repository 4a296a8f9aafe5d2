//! Files that the configuration is or names.

use std::io;
use std::path::Path;

use super::problem::Mistake;
use crate::files;

/// The largest file that may hold a single value such as a password: 64 KiB. A larger one is rather a wrong path.
const LARGEST_VALUE: u64 = 64 << 10;

/// The largest configuration: 4 MiB, so that a wrong path does not fill the memory.
const LARGEST_CONFIGURATION: u64 = 4 << 20;

/// Returns what a file says that holds a single value, without a byte order mark and the newline at its end.
pub(super) fn read_value(path: &Path) -> Result<String, Mistake> {
    let text = read(path, LARGEST_VALUE, "it must hold the value alone")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let value = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() {
        return Err(Mistake::new(format!("`{}` is empty", path.display()), "it must hold the value alone"));
    }
    Ok(value.to_owned())
}

/// A configuration file's text.
pub(super) fn read_configuration(path: &Path) -> Result<String, Mistake> {
    read(path, LARGEST_CONFIGURATION, "a configuration file is text of the form TOML")
}

fn read(path: &Path, largest: u64, hint: &str) -> Result<String, Mistake> {
    let shown = path.display();
    let bytes = files::read(path, largest).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => Mistake::new(format!("`{shown}` is larger than {} KiB", largest >> 10), hint),
        _ => unreadable(path, &error),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Mistake::new(format!("`{shown}` is not UTF-8: the first wrong byte is number {}", place + 1), hint)
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Mistake {
    let message = |what: &str| format!("cannot read `{}`: {what}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => {
            Mistake::new(message("it does not exist"), "check the path; in a container, check that the file is mounted")
        }
        io::ErrorKind::IsADirectory => Mistake::new(
            message("it is a directory"),
            "name a file; Docker makes a directory of a mounted file that does not exist on the host",
        ),
        io::ErrorKind::PermissionDenied => Mistake::new(
            message("permission denied"),
            "the user that dockbell runs as needs read permission on the file and its folders",
        ),
        io::ErrorKind::InvalidInput => {
            Mistake::new(message(&error.to_string()), "name a regular file; write what a command prints to one")
        }
        _ => Mistake::plain(message(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_permission_is_told_with_what_is_needed() {
        let mistake = unreadable(Path::new("/run/secrets/smtp"), &io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(
            mistake.starts_with("cannot read `/run/secrets/smtp`: permission denied\nhint: the user that"),
            "{mistake}"
        );
    }

    #[test]
    fn only_a_byte_order_mark_and_one_newline_belong_to_the_file_and_not_to_the_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        for (text, value) in [("x\n", "x"), ("x\r\n", "x"), ("x", "x"), (" x \n\n", " x \n"), ("\u{feff}x\r\n", "x")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_value(&path).unwrap(), value);
        }
    }
}
