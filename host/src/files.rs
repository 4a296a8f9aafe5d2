//! Files that a user names, read whole.
//!
//! A path may be wrong, or another process may have put something else there: a pipe that nobody writes to would block a
//! thread for ever, a device such as `/dev/zero` would fill the memory. So only regular files are read, up to a limit that
//! the caller states for its purpose.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The largest file of certificates or keys in PEM form: 4 MiB. The certificates of all public authorities have 0.2 MiB.
pub(crate) const LARGEST_PEM: u64 = 4 << 20;

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// Fails if the file cannot be opened or read; with [`ErrorKind::IsADirectory`] for a directory, [`ErrorKind::InvalidInput`]
/// for another kind of file, and [`ErrorKind::FileTooLarge`] for a larger one.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Without waiting for the other end of a pipe, and without making a terminal ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        // A socket.
        Err(rustix::io::Errno::NXIO) => return Err(irregular()),
        opened => File::from(opened?),
    };
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !about.is_file() {
        return Err(irregular());
    }
    let too_large =
        |bytes| io::Error::new(ErrorKind::FileTooLarge, format!("it has {bytes} bytes; the limit is {limit} bytes"));
    if about.len() > limit {
        return Err(too_large(about.len().to_string()));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile, and those of `/proc` say that they are empty.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large("more".to_owned())) } else { Ok(bytes) }
}

/// Reads a regular file of at most `limit` bytes that is UTF-8 text.
///
/// # Errors
/// As [`read`], and with [`ErrorKind::InvalidData`] for other bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let not_text = |error: std::string::FromUtf8Error| {
        let place = error.utf8_error().valid_up_to() + 1;
        io::Error::new(ErrorKind::InvalidData, format!("it is not UTF-8: the first wrong byte is number {place}"))
    };
    String::from_utf8(read(path, limit)?).map_err(not_text)
}

fn irregular() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is not a file but a pipe, a socket or a device")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::FileType;

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_nothing_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        for irregular in [&*path("pipe"), &*path("socket"), Path::new("/dev/zero"), Path::new("/dev/null")] {
            let error = read(irregular, 1 << 20).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", irregular.display());
        }
        assert_eq!(read(folder.path(), 1).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(read(&path("nothing"), 1).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_and_not_above() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"1234");
        assert_eq!(read(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        // Says that it has no bytes.
        assert_eq!(read(Path::new("/proc/self/status"), 16).unwrap_err().kind(), ErrorKind::FileTooLarge);
        std::fs::write(&path, b"ab\xff").unwrap();
        let error = read_text(&path, 3).unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("number 3")), (ErrorKind::InvalidData, true));
    }
}
