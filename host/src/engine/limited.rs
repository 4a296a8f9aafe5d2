//! The reading side of a connection, with an end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::Fault;

/// A connection of which a number of bytes is read at most, whatever they are: status line, headers, sizes of chunks, body.
/// It lies below the HTTP client, so that nothing above it can hold more than that.
#[derive(Debug)]
pub(super) struct Limited<T> {
    io: T,
    left: u64,
    beyond: Fault,
}

impl<T> Limited<T> {
    /// Reading fails with `beyond` as soon as more than `bytes` bytes have come.
    pub(super) fn new(io: T, bytes: u64, beyond: Fault) -> Self {
        Self { io, left: bytes, beyond }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Limited<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = buf.filled().len().saturating_sub(before) as u64;
        let Some(left) = self.left.checked_sub(read) else {
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::other(self.beyond.clone())));
        };
        self.left = left;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Limited<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn as_much_as_the_limit_is_read_and_not_a_byte_more() {
        for (limit, fits) in [(4, false), (5, true), (u64::MAX, true)] {
            let mut text = String::new();
            let read = Limited::new(&b"hello"[..], limit, Fault::Closed).read_to_string(&mut text).await;
            match read {
                Ok(_) => assert!(fits && text == "hello", "{limit}"),
                Err(error) => {
                    let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>());
                    assert!(!fits && fault == Some(&Fault::Closed), "{limit}: {error}");
                }
            }
        }
    }
}
