//! An engine that has prepared what it sends, so that the machine works for those who read it.
//!
//! The bytes are those of a Docker engine: one chunk of `Transfer-Encoding: chunked` per event.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use dockbell::config::{EngineConfig, Host};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const VERSION: &str = r#"{"Platform":{"Name":"Docker Engine - Community"},"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12","Components":[{"Name":"Engine","Version":"20.10.24"}]}"#;

/// Serves on a socket of its own until the end of the process.
pub(crate) struct Source {
    folder: TempDir,
    /// One for each stream of events that somebody waits for, which begins when it is told to.
    waiting: UnboundedReceiver<Sender<()>>,
}

impl Source {
    pub(crate) fn new(lines: &[Bytes]) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let stream: Vec<u8> = lines
            .iter()
            .flat_map(|line| [format!("{:x}\r\n", line.len()).as_bytes(), line, b"\r\n"].concat())
            .collect();
        let stream: Arc<[u8]> = stream.into();
        let (wait, waiting) = unbounded_channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (stream, wait) = (Arc::clone(&stream), wait.clone());
                thread::spawn(move || serve(connection.unwrap(), &stream, &wait));
            }
        });
        Self { folder, waiting }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn config(&self) -> EngineConfig {
        EngineConfig { host: Host::Unix(self.socket()), tls: None }
    }

    /// Waits for somebody who wants the events. They are sent to whom the sender tells to.
    pub(crate) async fn subscribed(&mut self) -> Sender<()> {
        self.waiting.recv().await.unwrap()
    }
}

/// Answers until the other side hangs up.
fn serve(mut connection: UnixStream, stream: &[u8], wait: &UnboundedSender<Sender<()>>) {
    let mut requests = BufReader::new(connection.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = requests.next() {
        // Requests without a body: the head ends with an empty line.
        if requests.by_ref().map_while(Result::ok).all(|line| !line.is_empty()) {
            return;
        }
        let headers = "Api-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Type: application/json\r\n";
        let sent = if request.contains("/events") {
            let head = format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n");
            let (go, told) = channel();
            connection.write_all(head.as_bytes()).and_then(|()| events(&mut connection, stream, wait, go, &told))
        } else {
            let (status, body) = match &request {
                ping if ping.starts_with("HEAD") => ("200 OK", ""),
                ping if ping.contains("/_ping") => ("200 OK", "OK"),
                version if version.contains("/version") => ("200 OK", VERSION),
                _ => ("404 Not Found", "{}"),
            };
            let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
            connection.write_all(answer.as_bytes())
        };
        if sent.is_err() {
            return;
        }
    }
}

fn events(
    connection: &mut UnixStream,
    stream: &[u8],
    wait: &UnboundedSender<Sender<()>>,
    go: Sender<()>,
    told: &Receiver<()>,
) -> std::io::Result<()> {
    // Nobody is there any more: so be it.
    if wait.send(go).is_ok() && told.recv().is_ok() {
        connection.write_all(stream)?;
    }
    Ok(())
}
