//! An HTTP server that does what a test tells it to: raw TCP on 127.0.0.1, with TLS if wanted, that can stall or end at any
//! byte. It runs within the test's own tokio runtime, so that a paused clock governs it too.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockbell::deliver::http::{Resolve, Resolving};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::smtp::Certificate;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes and says nothing more until the client goes away.
    Stall(Vec<u8>),
    /// Sends these bytes, one each time this long.
    Slow(Duration, Vec<u8>),
    /// Sends these bytes, and then a body that does not end, until the client goes away.
    Endless(Vec<u8>),
    /// Closes the connection before it reads the request.
    Drop,
}

impl Reply {
    /// An answer with a status, headers (each with its line end) and a body.
    #[must_use]
    pub fn status(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes())
    }
}

/// A request that came whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Such as `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

#[derive(Debug, Default)]
struct State {
    replies: VecDeque<Reply>,
    always: Option<Reply>,
    received: Vec<Received>,
    connections: usize,
}

/// The server; it ends when it is dropped. Without being told otherwise it answers each request with `200` and `ok`.
#[derive(Debug)]
pub struct ScriptedHttp {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    came: Arc<Notify>,
    task: JoinHandle<()>,
}

impl ScriptedHttp {
    /// A server without TLS.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// A server, with TLS where there is a certificate.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start_with(certificate: Option<Certificate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("the address");
        let state = Arc::new(Mutex::new(State::default()));
        let came = Arc::new(Notify::new());
        let task = tokio::spawn(serve(listener, Arc::clone(&state), Arc::clone(&came), certificate));
        Self { address, state, came, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of it without TLS.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Stops listening.
    pub async fn stop(mut self) {
        self.task.abort();
        // The error says that it was stopped.
        let _ = (&mut self.task).await;
    }

    /// Does this with the next request that nothing else waits for.
    pub fn once(&self, reply: Reply) {
        self.state().replies.push_back(reply);
    }

    /// Does this with each request that nothing else waits for.
    pub fn always(&self, reply: Reply) {
        self.state().always = Some(reply);
    }

    /// The requests that came whole.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Waits until so many requests came whole, 60 s at most, and returns them all.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn wait_for(&self, requests: usize) -> Vec<Received> {
        let wait = async {
            loop {
                let came = self.came.notified();
                tokio::pin!(came);
                came.as_mut().enable();
                if self.received().len() >= requests {
                    return;
                }
                came.await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok();
        assert!(in_time, "{requests} requests did not come: {:?}", self.received());
        self.received()
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for ScriptedHttp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, came: Arc<Notify>, certificate: Option<Certificate>) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        lock(&state).connections += 1;
        let (state, came, certificate) = (Arc::clone(&state), Arc::clone(&came), certificate.clone());
        sessions.spawn(async move {
            // A client that goes away is no failure of the server.
            let _ = match certificate {
                None => session(stream, &state, &came).await,
                Some(certificate) => match certificate.acceptor().accept(stream).await {
                    Ok(stream) => session(stream, &state, &came).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn session(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: &Mutex<State>,
    came: &Notify,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let received = loop {
        if let Some(received) = parse(&bytes) {
            break received;
        }
        // What drops a connection does so with its first byte; a check sends none.
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let mut state = lock(state);
        if matches!(state.replies.front(), Some(Reply::Drop)) {
            state.replies.pop_front();
            return Ok(());
        }
    };
    let reply = {
        let mut state = lock(state);
        state.received.push(received);
        came.notify_waiters();
        state.replies.pop_front().or_else(|| state.always.clone())
    };
    match reply.unwrap_or_else(|| Reply::status(200, "", "ok")) {
        Reply::Bytes(bytes) => stream.write_all(&bytes).await?,
        Reply::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            while stream.read(&mut [0; 64]).await? > 0 {}
        }
        Reply::Slow(time, bytes) => {
            for byte in bytes {
                tokio::time::sleep(time).await;
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
            }
        }
        Reply::Endless(bytes) => {
            stream.write_all(&bytes).await?;
            loop {
                stream.write_all(&[b'x'; 1024]).await?;
                tokio::task::yield_now().await;
            }
        }
        Reply::Drop => {}
    }
    stream.shutdown().await
}

/// A request, if it is whole.
fn parse(bytes: &[u8]) -> Option<Received> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value.as_str());
    let body = bytes[end + 4..].get(..length.parse().ok()?)?.to_vec();
    Some(Received { method: first.next()?.to_owned(), path: first.next()?.to_owned(), headers, body })
}

/// Finds other addresses than the system would: the next ones each time, and the last for ever.
#[derive(Debug)]
pub struct Leads(Mutex<VecDeque<SocketAddr>>);

impl Leads {
    /// Each name leads to these addresses, one after the other.
    #[must_use]
    pub fn to(addresses: &[SocketAddr]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(addresses.iter().copied().collect())))
    }
}

impl Resolve for Leads {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = if addresses.len() > 1 { addresses.pop_front() } else { addresses.front().copied() };
        Box::pin(async move { Ok(next.into_iter().collect()) })
    }
}
