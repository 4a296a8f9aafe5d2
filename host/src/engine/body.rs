//! The body of an answer, read on the task that wants it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::Connection;

use super::error::Fault;
use super::transport::{Io, fault_of};

type Driver = Option<Pin<Box<Connection<Io, Empty<Bytes>>>>>;

/// The body of an answer, with the connection it comes over.
#[derive(Debug)]
pub(super) struct Stream {
    body: Incoming,
    connection: Driver,
}

impl Stream {
    pub(super) fn new(body: Incoming, connection: Driver) -> Self {
        Self { body, connection }
    }

    /// The next chunk as it came over the wire; none at the end. Nothing is lost when the future is dropped.
    pub(super) async fn chunk(&mut self) -> Option<Result<Bytes, Fault>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// [`chunk`](Self::chunk), for one who does not want to wait.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            let mut frame = Pin::new(&mut self.body).poll_frame(cx);
            if frame.is_pending() {
                // The connection hands over one frame at a time and only when it is polled.
                poll_driver(&mut self.connection, cx);
                frame = Pin::new(&mut self.body).poll_frame(cx);
            }
            match frame {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(fault_of(error)))),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    /// All of the body, of which the connection brings no more than its limit.
    pub(super) async fn whole(mut self) -> Result<Bytes, Fault> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.chunk().await {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole.freeze())
    }

    /// The body up to `bytes` bytes, or as far as it came.
    pub(super) async fn start(mut self, bytes: usize) -> Bytes {
        let mut start = BytesMut::new();
        while start.len() < bytes
            && let Some(Ok(chunk)) = self.chunk().await
        {
            start.extend_from_slice(&chunk);
        }
        start.truncate(bytes);
        start.freeze()
    }
}

/// Waits for `answer` while the connection works on it.
pub(super) async fn drive<T>(connection: &mut Driver, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        poll_driver(connection, cx);
        answer.as_mut().poll(cx)
    })
    .await
}

/// Its error is not lost: whoever waits for the answer or the body gets it.
fn poll_driver(connection: &mut Driver, cx: &mut Context<'_>) {
    if connection.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
        *connection = None;
    }
}
