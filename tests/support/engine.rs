//! A container engine that does what a test tells it: a real HTTP server on a unix socket, on TCP or behind TLS.
//!
//! ```no_run
//! # async fn example() {
//! use dockbell_tests::engine::{ScriptedEngine, container};
//! let engine = ScriptedEngine::unix().await;
//! println!("DOCKER_HOST={}", engine.host());
//! engine.subscribed(1).await;
//! engine.send(container("die").name("web-1").attribute("exitCode", "3"));
//! # }
//! ```
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on should say where")]

mod event;
mod hostile;
mod serve;
mod tls;
mod watch;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use dockbell::config::{EngineConfig, EngineTls, Host};
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use event::{EventLine, container, event};
pub use hostile::{Answer, HostileEngine, PAGE};
use serve::{Listener, SAME_CLOCK, serve};
pub use watch::Watch;

/// How many events an engine remembers, as Docker does.
pub const REMEMBERS: usize = 256;
/// How long a test waits for what should happen soon; more than two missed pings of a dead link take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A container engine that does what a test tells it. Starts as a Docker engine with API 1.24 to 1.47 that knows no
/// containers. It ends when it is dropped.
#[derive(Debug)]
pub struct ScriptedEngine {
    place: Place,
    folder: TempDir,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone)]
enum Place {
    Unix(PathBuf),
    Tcp(u16),
    Tls(u16),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// How many streams of events were ever opened.
    subscribed: tokio::sync::watch::Sender<usize>,
    /// What was asked, with the query.
    requests: tokio::sync::watch::Sender<Vec<String>>,
}

#[derive(Debug)]
struct State {
    /// Lines with their times, the newest last.
    ring: VecDeque<(i64, Bytes)>,
    streams: Vec<Stream>,
    /// Oldest and newest API version.
    api: (String, String),
    component: String,
    server: String,
    /// Whether answers have the headers of an engine.
    headers: bool,
    /// By path: status and body.
    refusals: HashMap<String, (u16, String)>,
    containers: HashMap<String, String>,
    stalled: bool,
    /// Whether a stream is closed at its `until`.
    closes: bool,
    clock_ahead: SignedDuration,
}

/// A stream of events that a client has opened.
#[derive(Debug)]
struct Stream {
    chunks: UnboundedSender<Bytes>,
    /// How many chunks wait until the client reads.
    waiting: Arc<AtomicUsize>,
}

impl Stream {
    /// Sends a chunk; false when the client is gone.
    fn send(&self, chunk: Bytes) -> bool {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.chunks.send(chunk).is_ok()
    }
}

impl ScriptedEngine {
    /// An engine on a unix socket in a folder of its own.
    pub async fn unix() -> Self {
        let folder = TempDir::new().expect("a folder");
        let socket = folder.path().join("docker.sock");
        Self::start(folder, Place::Unix(socket)).await
    }

    /// An engine on a free port of 127.0.0.1.
    pub async fn tcp() -> Self {
        Self::start(TempDir::new().expect("a folder"), Place::Tcp(0)).await
    }

    /// An engine on a free port of 127.0.0.1, with TLS; its certificate is for that address. Clients need the files in
    /// [`certificates`](Self::certificates).
    pub async fn tls() -> Self {
        Self::start(TempDir::new().expect("a folder"), Place::Tls(0)).await
    }

    async fn start(folder: TempDir, place: Place) -> Self {
        let state = State {
            ring: VecDeque::new(),
            streams: Vec::new(),
            api: ("1.24".to_owned(), "1.47".to_owned()),
            component: "Engine".to_owned(),
            server: "Docker/1.2.3 (linux)".to_owned(),
            headers: true,
            refusals: HashMap::new(),
            containers: HashMap::new(),
            stalled: false,
            closes: true,
            clock_ahead: SAME_CLOCK,
        };
        let mut engine = Self { place, folder, shared: Arc::new(Shared::new(state)), server: None };
        engine.restart().await;
        engine
    }

    /// Where it listens, as `DOCKER_HOST` wants it.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.place {
            Place::Unix(socket) => format!("unix://{}", socket.display()),
            Place::Tcp(port) | Place::Tls(port) => format!("tcp://127.0.0.1:{port}"),
        }
    }

    /// The configuration that leads to it.
    #[must_use]
    pub fn config(&self) -> EngineConfig {
        let local = |port| Host::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) };
        match &self.place {
            Place::Unix(socket) => EngineConfig { host: Host::Unix(socket.clone()), tls: None },
            Place::Tcp(port) => EngineConfig { host: local(*port), tls: None },
            Place::Tls(port) => {
                let file = |name: &str| self.certificates().join(name);
                let tls = EngineTls { ca: Some(file("ca.pem")), client: Some((file("cert.pem"), file("key.pem"))) };
                EngineConfig { host: local(*port), tls: Some(tls) }
            }
        }
    }

    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, as `DOCKER_CERT_PATH` wants it.
    #[must_use]
    pub fn certificates(&self) -> &Path {
        self.folder.path()
    }

    /// Stops listening and cuts every connection in the middle; what was remembered is forgotten.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            server.await.ok();
        }
        if let Place::Unix(socket) = &self.place {
            std::fs::remove_file(socket).ok();
        }
        let mut state = self.state();
        state.ring.clear();
        state.streams.clear();
    }

    /// Listens (again) at the same place.
    pub async fn restart(&mut self) {
        self.stop().await;
        let listener = match &mut self.place {
            Place::Unix(socket) => Listener::Unix(UnixListener::bind(socket).expect("bind")),
            Place::Tcp(port) => {
                let listener = TcpListener::bind(("127.0.0.1", *port)).await.expect("bind");
                *port = listener.local_addr().expect("an address").port();
                Listener::Tcp(listener)
            }
            Place::Tls(port) => {
                let listener = TcpListener::bind(("127.0.0.1", *port)).await.expect("bind");
                *port = listener.local_addr().expect("an address").port();
                Listener::Tls(listener, tls::acceptor(self.folder.path(), "127.0.0.1"))
            }
        };
        self.server = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
    }

    /// Something happens: the line goes to every open stream as one chunk, and is remembered.
    pub fn send(&self, line: impl Into<String>) {
        self.happen(line, true);
    }

    /// Something happens that is remembered, but that no open stream is told: an engine skips a reader that is too slow.
    pub fn skip(&self, line: impl Into<String>) {
        self.happen(line, false);
    }

    fn happen(&self, line: impl Into<String>, tell: bool) {
        let line = line.into();
        let value: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        let time = value.and_then(|value| value.get("timeNano")?.as_i64());
        let chunk = Bytes::from(line + "\n");
        let mut state = self.state();
        if let Some(time) = time {
            if state.ring.len() == REMEMBERS {
                state.ring.pop_front();
            }
            state.ring.push_back((time, chunk.clone()));
        }
        if tell {
            state.streams.retain(|stream| stream.send(chunk.clone()));
        }
    }

    /// Sends bytes to every open stream, as one chunk and as they are.
    pub fn send_raw(&self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.state().streams.retain(|stream| stream.send(bytes.clone()));
    }

    /// Sends many lines, each with its end already, one chunk each; none is remembered.
    pub fn send_lines(&self, lines: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state();
        for line in lines {
            state.streams.retain(|stream| stream.send(line.clone()));
        }
    }

    /// Ends every open stream properly, as an engine that shuts down does.
    pub fn close(&self) {
        self.state().streams.clear();
    }

    /// Forgets all events, as an engine that was restarted.
    pub fn forget(&self) {
        self.state().ring.clear();
    }

    /// Answers a path (without version) with a status and a body from now on, as a proxy that forbids it.
    pub fn refuse(&self, path: &str, status: u16, body: &str) {
        self.state().refusals.insert(path.to_owned(), (status, body.to_owned()));
    }

    /// Answers a path again.
    pub fn allow(&self, path: &str) {
        self.state().refusals.remove(path);
    }

    /// From now on (or no longer) requests are taken and never answered.
    pub fn stall(&self, stalled: bool) {
        self.state().stalled = stalled;
    }

    /// Serves these API versions; others are answered with status 400, as Docker does.
    pub fn serve_api(&self, min: &str, max: &str) {
        self.state().api = (min.to_owned(), max.to_owned());
    }

    /// Calls itself Podman.
    pub fn be_podman(&self) {
        let mut state = self.state();
        "Podman Engine".clone_into(&mut state.component);
        "Libpod/4.3.1 (linux)".clone_into(&mut state.server);
    }

    /// Answers without `Api-Version` and `Server`, as something that is no engine.
    pub fn hide_headers(&self) {
        self.state().headers = false;
    }

    /// Does not close streams at their `until` (Docker Desktop 27.2).
    pub fn never_close(&self) {
        self.state().closes = false;
    }

    /// Sets the engine's clock ahead of ours; a negative duration sets it back.
    pub fn set_clock_ahead(&self, by: SignedDuration) {
        self.state().clock_ahead = by;
    }

    /// What `inspect` of a container answers.
    pub fn set_container(&self, id: &str, body: &str) {
        self.state().containers.insert(id.to_owned(), body.to_owned());
    }

    /// Says in `/info` that this is its id.
    pub fn be(&self, id: &str) {
        self.refuse("/info", 200, &serde_json::json!({ "ID": id }).to_string());
    }

    /// How many streams of events were opened in all.
    #[must_use]
    pub fn streams(&self) -> usize {
        *self.shared.subscribed.borrow()
    }

    /// Waits until so many streams of events were opened in all.
    pub async fn subscribed(&self, times: usize) {
        let mut subscribed = self.shared.subscribed.subscribe();
        let there = timeout(PATIENCE, subscribed.wait_for(|count| *count >= times)).await;
        assert!(there.is_ok(), "{times} streams were wanted, {} opened", *self.shared.subscribed.borrow());
    }

    /// Waits until a request whose path (with version and query) contains `part` was made so many times.
    pub async fn asked(&self, part: &str, times: usize) {
        let mut requests = self.shared.requests.subscribe();
        let enough = |requests: &Vec<String>| requests.iter().filter(|path| path.contains(part)).count() >= times;
        let there = timeout(PATIENCE, requests.wait_for(enough)).await;
        assert!(there.is_ok(), "`{part}` was wanted {times} times, asked was {:?}", self.requests());
    }

    /// Everything that was asked so far, with version and query.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until no stream of events is open.
    pub async fn unsubscribed(&self) {
        let there = self.wait_while(|stream| !stream.chunks.is_closed()).await;
        assert!(there, "a stream is still open");
    }

    /// Waits until clients have read all that was sent, but for what fits into the buffers of a connection.
    pub async fn drained(&self) {
        let there = self.wait_while(|stream| stream.waiting.load(Ordering::SeqCst) > 0).await;
        assert!(there, "a client does not read");
    }

    async fn wait_while(&self, still: impl Fn(&Stream) -> bool) -> bool {
        let waits = async {
            while self.state().streams.iter().any(&still) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waits).await.is_ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("state")
    }
}

impl Drop for ScriptedEngine {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}
