//! Reads an engine's events as they come over the socket, untouched.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow, bail};

/// A connection that collects every event.
pub(super) struct Tap {
    stream: UnixStream,
    reader: JoinHandle<std::io::Result<String>>,
}

impl Tap {
    /// Begins to collect.
    pub(super) fn open(socket: &Path) -> Result<Self> {
        let mut stream = UnixStream::connect(socket).context("cannot connect to the engine")?;
        // The engine does not cut the body of a 1.0 answer into chunks.
        stream.write_all(b"GET /events HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        let mut body = BufReader::new(stream.try_clone()?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if body.read_line(&mut head)? == 0 {
                bail!("the engine ended the connection after `{head}`");
            }
        }
        if !head.lines().next().unwrap_or_default().contains(" 200 ") {
            bail!("the engine answered `{head}`");
        }
        let reader = thread::spawn(move || {
            let mut lines = String::new();
            body.read_to_string(&mut lines).map(|_| lines)
        });
        Ok(Self { stream, reader })
    }

    /// Ends, and answers all lines since the beginning.
    pub(super) fn close(self) -> Result<String> {
        self.stream.shutdown(Shutdown::Both)?;
        Ok(self.reader.join().map_err(|_| anyhow!("the reader of events panicked"))??)
    }
}
