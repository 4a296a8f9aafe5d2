//! A real mail server: aiosmtpd, in the Python that `cargo xtask test` names.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;

use crate::docker::named;

/// A mail server on a port of its own; dropping it ends it.
#[derive(Debug)]
pub struct SmtpServer {
    child: Child,
    /// The server ends when this does.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    folder: TempDir,
    port: u16,
}

/// A mail that the server took, as Python's mail parser reads it.
#[derive(Debug, Deserialize)]
pub struct ReceivedMail {
    /// The envelope's sender.
    pub sender: String,
    /// The envelope's recipients.
    pub recipients: Vec<String>,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// Who was logged in.
    pub user: Option<String>,
    /// Names and decoded values, in their order.
    pub headers: Vec<(String, String)>,
    /// Media type of the whole.
    pub kind: String,
    /// Media type and decoded text of each part.
    pub parts: Vec<(String, String)>,
    /// What the parser found wrong.
    pub defects: Vec<String>,
    /// Bytes of the longest line, without its end (RFC 5322: at most 998).
    pub longest_line: usize,
}

impl ReceivedMail {
    /// The decoded value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The decoded text of the part of this media type.
    #[must_use]
    pub fn part(&self, kind: &str) -> Option<&str> {
        self.parts.iter().find(|(key, _)| key == kind).map(|(_, text)| text.as_str())
    }
}

impl SmtpServer {
    /// Starts one; `wants` may hold `starttls` and `login` (as `bell` with the password `p@ss/w#rd`).
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(wants: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/smtp_server.py");
        let mut command = Command::new(named("DOCKBELL_TEST_PYTHON"));
        command.args(["-W", "ignore"]).arg(script).arg(folder.path()).args(wants);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut server = Self { child, stdin, lines, folder, port: 0 };
        let first: serde_json::Value = serde_json::from_str(&server.line(Duration::from_secs(30)).unwrap()).unwrap();
        server.port = first["port"].as_u64().unwrap().try_into().unwrap();
        server
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that signs the server's, for `starttls`.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The next mail that it takes.
    ///
    /// # Panics
    /// When none comes within 30 s.
    #[must_use]
    pub fn next_mail(&self) -> ReceivedMail {
        let line = self.line(Duration::from_secs(30)).expect("no mail within 30 s");
        serde_json::from_str(&line).unwrap()
    }

    fn line(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        drop(self.stdin.take().map(|mut stdin| stdin.flush()));
        let _ = self.child.wait();
    }
}
