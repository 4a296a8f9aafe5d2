//! A mail server that does what a test tells it to: takes mail and keeps it, or fails in a chosen way at a chosen point.
//!
//! It runs on 127.0.0.1 within the test's own tokio runtime, so that a paused clock governs it too.

mod certificate;
mod script;
mod session;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use certificate::Certificate;
pub use script::{Fault, Stage};

use self::script::Script;

/// A mail that the server was sent, up to the final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipients that the server had taken.
    pub to: Vec<String>,
    /// The message as it was before dots were doubled, without the final dot.
    pub bytes: Vec<u8>,
    /// When the final dot was read.
    pub at: Instant,
    /// Whether the server said that it has the mail.
    pub accepted: bool,
    /// The how manieth connection, from 1.
    pub connection: usize,
}

/// A line that the server read as a command or as an answer to a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The line without its end.
    pub line: String,
    /// Whether it came encrypted.
    pub encrypted: bool,
    /// The how manieth connection, from 1.
    pub connection: usize,
}

/// How connections to the server are protected.
#[derive(Debug, Clone, Default)]
pub enum Tls {
    /// Not at all.
    #[default]
    None,
    /// By STARTTLS; logins only behind it.
    StartTls(Certificate),
    /// From the first byte.
    Implicit(Certificate),
}

/// What a server offers and wants.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How connections are protected.
    pub tls: Tls,
    /// User and password that it wants before it takes mail.
    pub login: Option<(String, String)>,
    /// What it offers for the login, in its own order. Default `PLAIN LOGIN`.
    pub mechanisms: Option<&'static str>,
    /// Further lines of its answer to EHLO, such as `SMTPUTF8`.
    pub extensions: Vec<&'static str>,
}

#[derive(Debug, Default)]
struct Seen {
    mails: Vec<Mail>,
    commands: Vec<Command>,
    connections: usize,
    open: usize,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    script: Script,
    seen: Mutex<Seen>,
    changed: Notify,
}

impl Shared {
    fn see(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen());
        self.changed.notify_waiters();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server. It ends when it is dropped, with all its connections.
#[derive(Debug)]
pub struct ScriptedSmtp {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl ScriptedSmtp {
    /// A server without TLS and login, on a free port.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// A server with TLS, a login, extensions.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start_with(options: Options) -> Self {
        Self::start_on("127.0.0.1:0", options).await
    }

    /// A server on a given address, as one that comes back after an outage.
    ///
    /// # Panics
    /// When the address is taken.
    pub async fn start_on(address: &str, options: Options) -> Self {
        let listener = TcpListener::bind(address).await.expect("an address to listen on");
        let address = listener.local_addr().expect("the address");
        let shared =
            Arc::new(Shared { options, script: Script::default(), seen: Mutex::default(), changed: Notify::new() });
        let task = tokio::spawn(session::serve(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops listening and closes all connections; returns the address for a server that comes back.
    pub async fn stop(mut self) -> String {
        self.task.abort();
        // The error says that it was stopped.
        let _ = (&mut self.task).await;
        self.address.to_string()
    }

    /// Does this the next time a client comes to this point; several wait for their turn.
    pub fn once(&self, stage: Stage, fault: Fault) {
        self.shared.script.once(stage, fault);
    }

    /// Does this whenever a client comes to this point.
    pub fn always(&self, stage: Stage, fault: Fault) {
        self.shared.script.always(stage, fault);
    }

    /// Answers this to `RCPT TO` with this recipient, always.
    pub fn recipient(&self, recipient: &str, reply: &str) {
        self.shared.script.recipient(recipient, reply);
    }

    /// Behaves well from now on.
    pub fn heal(&self) {
        self.shared.script.heal();
    }

    /// The mails it has taken, in order.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.seen().mails.iter().filter(|mail| mail.accepted).cloned().collect()
    }

    /// All mails it was sent up to the final dot, taken or not.
    #[must_use]
    pub fn attempts(&self) -> Vec<Mail> {
        self.shared.seen().mails.clone()
    }

    /// All commands it read.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        self.shared.seen().commands.clone()
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.seen().connections
    }

    /// How many connections there are.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.seen().open
    }

    /// Waits until it has taken so many mails, 20 s at most, and returns them all.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn wait_for(&self, mails: usize) -> Vec<Mail> {
        self.wait_within(Duration::from_secs(20), mails).await
    }

    /// The same with another time, for tests that let days pass on a paused clock.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn wait_within(&self, limit: Duration, mails: usize) -> Vec<Mail> {
        self.wait_until(limit, |server| server.mails().len() >= mails).await;
        self.mails()
    }

    /// Waits until something holds, such as that there were three connections.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait_until(&self, limit: Duration, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(limit, wait).await.is_err() {
            panic!(
                "after {limit:?}: {} mails taken, {} attempts, {} connections, commands: {:#?}",
                self.mails().len(),
                self.attempts().len(),
                self.connections(),
                self.commands().iter().map(|command| &command.line).collect::<Vec<_>>()
            );
        }
    }
}

impl Drop for ScriptedSmtp {
    fn drop(&mut self) {
        self.task.abort();
    }
}
