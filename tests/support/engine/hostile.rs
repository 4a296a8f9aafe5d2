//! An engine whose answers are written byte by byte, so that they can be such as no HTTP server would make.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell::config::{EngineConfig, Host};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::PATIENCE;

/// How many bytes of an endless answer are written at a time.
pub const PAGE: usize = 64 << 10;

/// What a path is answered with.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These bytes, then the connection is closed.
    Whole(String),
    /// A head, then the same again and again until the client hangs up.
    Endless {
        /// What comes first.
        head: Arc<str>,
        /// What is repeated.
        piece: Arc<str>,
    },
    /// A head, then a piece each second until the client hangs up.
    Drip {
        /// What comes first.
        head: String,
        /// What comes each second.
        piece: String,
    },
}

impl Answer {
    /// Status 200 with a JSON text.
    #[must_use]
    pub fn json(text: &str) -> Self {
        let headers = "Api-Version: 1.41\r\nConnection: close\r\n";
        Self::Whole(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{text}", text.len()))
    }

    /// A head, then the same again and again.
    #[must_use]
    pub fn endless(head: String, piece: String) -> Self {
        Self::Endless { head: head.into(), piece: piece.into() }
    }
}

/// An engine on a unix socket that answers as a test says. Unless it says otherwise the engine is Docker with API 1.41, has no
/// container, and its stream of events stays open and quiet. It ends when it is dropped.
#[derive(Debug)]
pub struct HostileEngine {
    folder: TempDir,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    /// By what was asked: how many bytes were written, and whether the client has hung up.
    seen: watch::Sender<HashMap<String, Seen>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    sent: usize,
    closed: bool,
}

impl HostileEngine {
    /// Listens.
    ///
    /// # Panics
    /// When there is no folder or no socket.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let shared = Arc::new(Shared::default());
        for (path, text) in [
            ("/_ping", "OK"),
            ("/version", "{\"Version\":\"1.2.3\",\"ApiVersion\":\"1.41\"}"),
            ("/info", "{}"),
            ("/containers/json", "[]"),
        ] {
            shared.answers.lock().expect("answers").insert(path.to_owned(), Answer::json(text));
        }
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("bind");
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { folder, shared, server }
    }

    /// The configuration that leads to it.
    #[must_use]
    pub fn config(&self) -> EngineConfig {
        EngineConfig { host: Host::Unix(self.socket()), tls: None }
    }

    /// Where it listens, as `DOCKER_HOST` wants it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// From now on answers a path so, without its version and query. `/events?until` are requests for events with an end, and
    /// `*` is every other path.
    ///
    /// # Panics
    /// Never, unless another thread has.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.shared.answers.lock().expect("answers").insert(path.to_owned(), answer);
    }

    /// Waits until a path was asked for.
    pub async fn asked(&self, path: &str) {
        self.wait(path, |_| true).await;
    }

    /// Waits until the client has hung up on the answer to a path. Returns how many bytes were written of it.
    pub async fn sent_until_closed(&self, path: &str) -> usize {
        self.wait(path, |seen| seen.closed).await.sent
    }

    async fn wait(&self, path: &str, is_wanted: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.shared.seen.subscribe();
        let wanted = seen.wait_for(|seen| seen.get(path).is_some_and(&is_wanted));
        let wanted = timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("`{path}` was not asked, or not left"));
        wanted.expect("the engine lives")[path]
    }
}

impl Drop for HostileEngine {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(mut stream: UnixStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = match path.strip_prefix("/v1.").and_then(|rest| rest.find('/').map(|end| &rest[end..])) {
        Some(path) => path,
        None => path,
    };
    let path = if path == "/events" && query.contains("until=") { "/events?until" } else { path };
    let answer = {
        let answers = shared.answers.lock().expect("answers");
        answers.get(path).or_else(|| answers.get("*").filter(|_| path != "/events")).cloned()
    };
    shared.seen.send_modify(|seen| {
        seen.insert(path.to_owned(), Seen::default());
    });
    let _ = write(&mut stream, answer, path, &shared).await;
    shared.seen.send_modify(|seen| seen.entry(path.to_owned()).or_default().closed = true);
}

async fn write(stream: &mut UnixStream, answer: Option<Answer>, path: &str, shared: &Shared) -> std::io::Result<()> {
    let count = |bytes: usize| shared.seen.send_modify(|seen| seen.entry(path.to_owned()).or_default().sent += bytes);
    let (head, piece, pause) = match answer {
        Some(Answer::Whole(text)) => return stream.write_all(text.as_bytes()).await,
        Some(Answer::Endless { head, piece }) => (head, piece, None),
        Some(Answer::Drip { head, piece }) => (head.into(), piece.into(), Some(Duration::from_secs(1))),
        None => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nConnection: close\r\n\r\n").await?;
            // Until the client hangs up.
            return stream.read_to_end(&mut Vec::new()).await.map(drop);
        }
    };
    stream.write_all(head.as_bytes()).await?;
    loop {
        stream.write_all(piece.as_bytes()).await?;
        count(piece.len());
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}
