//! Messages appended to a file, one line of JSON each.

use std::io::{self, ErrorKind, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::fs::{self, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::{Attempt, Failure, Sealed, json};
use crate::message::Message;

/// How long the reader of a pipe may take for a line.
const PIPE: Duration = Duration::from_secs(30);

/// A file of JSON lines. Each line is on disk before the message counts as delivered; a file that was moved away or
/// removed, as a log rotation does, is opened anew.
///
/// The path may also name a pipe or a device: a line is delivered there once it is written, since there is no disk for it to be
/// on. A pipe that nobody reads takes nothing, and its messages wait.
#[derive(Debug)]
pub struct File {
    sink: String,
    path: PathBuf,
    open: Option<Open>,
}

/// What a path names.
#[derive(Debug)]
enum Open {
    /// A file, or a device such as `/dev/null`.
    File(fs::File),
    Pipe(pipe::Sender),
}

impl File {
    /// A file that is opened with the first message.
    #[must_use]
    pub fn new(sink: &str, path: &Path) -> Self {
        Self { sink: sink.to_owned(), path: path.to_owned(), open: None }
    }

    pub(super) fn seal(&self, message: &Message) -> Sealed {
        Sealed {
            id: message.id,
            subject: message.notification.subject.clone(),
            bytes: Bytes::from(json::line(message) + "\n"),
            plainer: None,
            pending: vec![Arc::from(self.path.to_string_lossy())],
        }
    }

    pub(super) async fn deliver(&mut self, sealed: &Sealed) -> Attempt {
        match self.append(&sealed.bytes).await {
            Ok(()) => Attempt::accepted(sealed),
            Err(error) => {
                self.open = None;
                Attempt::failed(sealed, &self.failure(&error))
            }
        }
    }

    /// Tries whether the file can be opened for appending; makes it when it is missing.
    pub(super) async fn check(&mut self) -> Result<String, Failure> {
        match self.ready().await {
            Ok(_) => Ok(format!("file `{}`, JSON lines", self.path.display())),
            Err(error) => Err(self.failure(&error)),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.sink
    }

    async fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let file = match self.ready().await? {
            Open::File(file) => file,
            Open::Pipe(pipe) => {
                let written = timeout(PIPE, pipe.write_all(line)).await;
                return written.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
            }
        };
        let before = file.metadata().await?;
        if !before.is_file() {
            // `fdatasync` is an error on most of what is no file.
            file.write_all(line).await?;
            return file.flush().await;
        }
        let written = write(file, line).await;
        if written.is_err() {
            // Half a line is worse than none. Where this fails too, the line is ended when the file is next opened.
            let _ = file.set_len(before.len()).await;
        }
        written
    }

    /// Returns what the path names now, open.
    async fn ready(&mut self) -> io::Result<&mut Open> {
        let open = match self.open.take() {
            Some(Open::File(file)) if same(&file, &self.path).await => Open::File(file),
            // A pipe that was replaced has no reader any more, which the next line finds out.
            Some(Open::Pipe(pipe)) => Open::Pipe(pipe),
            _ => open(&self.path).await?,
        };
        Ok(self.open.insert(open))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let failure = Failure::down(format!("file `{}`: {error}", self.path.display()));
        match error.kind() {
            ErrorKind::NotFound => failure.with_hint("make the folder that holds the file"),
            ErrorKind::PermissionDenied => {
                failure.with_hint("the user that dockbell runs as must be allowed to write it")
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                failure.with_hint("make room; the message is written then")
            }
            ErrorKind::ReadOnlyFilesystem => failure.with_hint("in a container, mount a volume that can be written"),
            ErrorKind::TimedOut => failure.with_hint("whatever reads the pipe is stuck"),
            ErrorKind::BrokenPipe => failure.with_hint("start what reads the pipe; the message is written then"),
            _ if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
                failure.with_hint("start what reads the pipe; the message is written then")
            }
            ErrorKind::IsADirectory => failure.with_hint("`path` must name a file"),
            _ => failure,
        }
    }
}

async fn write(file: &mut fs::File, line: &[u8]) -> io::Result<()> {
    file.write_all(line).await?;
    file.flush().await?;
    file.sync_data().await
}

/// Opens for appending, and ends a last line that was cut off.
async fn open(path: &Path) -> io::Result<Open> {
    if fs::metadata(path).await.is_ok_and(|found| found.file_type().is_fifo()) {
        // Does not wait for a reader, and fails without one.
        return pipe::OpenOptions::new().open_sender(path).map(Open::Pipe);
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path).await?;
    // A device has no last line to look at.
    if file.metadata().await?.is_file() && file.seek(SeekFrom::End(0)).await? > 0 {
        file.seek(SeekFrom::End(-1)).await?;
        if file.read_u8().await? != b'\n' {
            file.write_all(b"\n").await?;
            file.flush().await?;
        }
    }
    Ok(Open::File(file))
}

/// Whether the path still names the file that is open.
async fn same(file: &fs::File, path: &Path) -> bool {
    match (file.metadata().await, fs::metadata(path).await) {
        (Ok(open), Ok(named)) => open.dev() == named.dev() && open.ino() == named.ino(),
        _ => false,
    }
}
