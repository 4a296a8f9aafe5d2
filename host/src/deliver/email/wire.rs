//! The bytes of a connection to a mail server.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::error::Cause;
use super::reply::{BYTES, Lines, Reply};

/// The bytes of a connection to a mail server: commands go out, replies come in, and each reply belongs to one command.
///
/// After an error the connection must be dropped: bytes may have been sent in part.
pub(super) struct Wire {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    /// What came and was not read yet.
    held: Vec<u8>,
}

impl Wire {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream: Either::Left(stream), held: Vec::new() }
    }

    pub(super) async fn tls(stream: TcpStream, tls: &TlsConnector, name: &ServerName<'static>) -> Result<Self, Cause> {
        let stream = tls.connect(name.clone(), stream).await.map_err(|error| Cause::io(&error))?;
        Ok(Self { stream: Either::Right(Box::new(stream)), held: Vec::new() })
    }

    /// Encrypts the connection, after the reply to STARTTLS. What came behind that reply came from anybody: it ends the
    /// connection, and is never taken for what the server says within the encryption.
    pub(super) async fn encrypt(self, tls: &TlsConnector, name: &ServerName<'static>) -> Result<Self, Cause> {
        match self.stream {
            Either::Left(stream) if self.held.is_empty() => Self::tls(stream, tls, name).await,
            _ => Err(Cause::Garbled("more came than the reply, and before the encryption".to_owned())),
        }
    }

    /// Returns the address of this end.
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        match &self.stream {
            Either::Left(stream) => stream.local_addr(),
            Either::Right(stream) => stream.get_ref().0.local_addr(),
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// Fails with [`Cause::Unasked`] if the server speaks before the last of the bytes is on its way: that is no reply to
    /// them, and if it were taken for one, each later reply would be taken for that to the command after its own.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let mut sent = 0;
        let speaks = poll_fn(|cx| {
            while sent < bytes.len() {
                if !self.held.is_empty() || self.poll_fill(cx)?.is_ready() {
                    return Poll::Ready(Ok(true));
                }
                match ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[sent..]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    more => sent += more,
                }
            }
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            Poll::Ready(Ok(false))
        });
        if !speaks.await.map_err(|error| Cause::io(&error))? {
            return Ok(());
        }
        let reply = self.reply().await?;
        Err(Cause::Unasked { code: reply.code, words: reply.words() })
    }

    /// Reads one reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, Cause> {
        let mut lines = Lines::default();
        loop {
            let end = self.line(lines.room()).await?;
            let taken = lines.take(&self.held[..end]);
            self.held.drain(..end);
            if let Some(code) = taken? {
                return Ok(lines.with(code));
            }
        }
    }

    /// Waits for a whole line of at most `room` bytes, and returns where it ends.
    async fn line(&mut self, room: usize) -> Result<usize, Cause> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.held[seen..].iter().position(|byte| *byte == b'\n').map(|end| seen + end + 1)
                && end <= room
            {
                return Ok(end);
            }
            seen = self.held.len();
            if seen > room {
                return Err(Cause::Garbled(format!("more than {} KiB in one reply", BYTES >> 10)));
            }
            poll_fn(|cx| self.poll_fill(cx)).await.map_err(|error| Cause::io(&error))?;
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [0; 4096];
        let mut chunk = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")));
        }
        self.held.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(()))
    }
}
