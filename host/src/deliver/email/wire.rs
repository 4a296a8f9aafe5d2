//! The stream beneath the SMTP dialogue.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Most bytes of an answer. The longest, to EHLO, has some twenty lines; lettre reads an answer anew with each of its
/// lines, so that many short ones would keep it busy.
const ANSWER: usize = 8 << 10;
/// Most bytes of an answer within a TLS handshake: a chain of certificates.
const HANDSHAKE: usize = 64 << 10;

/// The stream beneath the SMTP dialogue.
///
/// It hands out one line at a time, so that the reader above it never holds more than the line it asked for: bytes that
/// somebody slipped in behind the reply to STARTTLS, before the encryption, reach the TLS handshake, which fails, and are
/// not taken for replies from within it. And it ends a reply that does not end.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    held: Vec<u8>,
    /// Bytes that the server sent since we last wrote, and how many it may send.
    unasked: usize,
    most: usize,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), held: Vec::new(), unasked: 0, most: ANSWER }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), held: Vec::new(), unasked: 0, most: ANSWER }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.stream {
            Stream::Plain(stream) => stream.peer_addr(),
            Stream::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if wire.held.is_empty() {
            let mut room = [0; 4096];
            let mut chunk = ReadBuf::new(&mut room);
            ready!(match &mut wire.stream {
                Stream::Plain(stream) => Pin::new(stream).poll_read(cx, &mut chunk),
                Stream::Tls(stream) => Pin::new(stream).poll_read(cx, &mut chunk),
            })?;
            wire.unasked += chunk.filled().len();
            if wire.unasked > wire.most {
                let error = format!("the server sent more than {} KiB in one answer", wire.most >> 10);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            wire.held.extend_from_slice(chunk.filled());
        }
        let line = wire.held.iter().position(|byte| *byte == b'\n').map_or(wire.held.len(), |end| end + 1);
        let end = line.min(out.remaining());
        out.put_slice(&wire.held[..end]);
        wire.held.drain(..end);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.unasked = 0;
        // The records of a handshake begin with 20 or 22 (RFC 8446 section 5.1), no command does.
        self.most = if matches!(bytes, [20 | 22, ..]) { HANDSHAKE } else { ANSWER };
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
