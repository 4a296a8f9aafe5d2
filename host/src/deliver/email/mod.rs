//! Mail over SMTP.
//!
//! `render` makes the mail, whose bytes depend on the message alone. `wire` holds the bytes of a connection, of which `reply`
//! makes replies; `connection` speaks with the server, stage by stage, each with its own limit; `smtp` makes one transaction of
//! it, with a result for each recipient; `fault` and `status` say what a refusal means.

mod address;
mod connection;
mod error;
mod fault;
mod hello;
mod limits;
mod login;
mod mime;
mod offers;
mod recipients;
mod render;
mod reply;
mod security;
mod server;
mod smtp;
mod status;
mod transfer;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use tokio::time::Instant;

pub use error::{EmailError, SmtpError, Stage};
pub use limits::Limits;

use self::connection::Connection;
use self::recipients::Recipients;
use self::server::Server;
use self::smtp::Transaction;
use super::{Attempt, Failure, Fault, Sealed};
use crate::config::EmailConfig;
use crate::message::Message;

/// Longest time of a check, all stages together. Somebody waits for it, so that it is less patient than RFC 5321.
const CHECK: Duration = Duration::from_secs(15);

/// A mail server and who is told through it.
#[derive(Debug)]
pub struct Email {
    name: String,
    server: Arc<Server>,
    from: Mailbox,
    to: Recipients,
    hostname: String,
    warm: Option<Warm>,
}

/// A connection kept for the next message.
#[derive(Debug)]
struct Warm {
    connection: Connection,
    since: Instant,
}

impl Email {
    /// Reads addresses and certificates; connects to nothing. `hostname` is the name that messages give this machine.
    ///
    /// # Errors
    /// An address that is none, a certificate file that cannot be read, a server name that TLS cannot check.
    pub fn open(name: &str, config: &EmailConfig, hostname: &str) -> Result<Self, EmailError> {
        let from = address::sender(&config.from)?;
        let to = config.to.iter().map(|to| address::recipient(to)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(EmailError::NoRecipient);
        }
        let to = Recipients::new(to);
        let server = Arc::new(Server::new(&config.server, hostname)?);
        Ok(Self { name: name.to_owned(), server, from, to, hostname: hostname.to_owned(), warm: None })
    }

    /// The same with other limits of time.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.server).limits = limits;
        self
    }

    /// Name of the sink.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The mail that tells a message, and a plainer form of it.
    ///
    /// # Errors
    /// A mail that cannot be written; not known to happen.
    pub fn seal(&self, message: &Message) -> Result<Sealed, EmailError> {
        let mails = render::render(message, &self.from, &self.to, &self.hostname)?;
        Ok(Sealed {
            id: message.id,
            subject: message.notification.subject.clone(),
            bytes: mails.full,
            plainer: mails.plain,
            pending: self.recipients(),
        })
    }

    /// Sends a mail to those who have not got it yet: one transaction, a result for each.
    pub async fn deliver(&mut self, sealed: &Sealed) -> Attempt {
        if let Some(mut warm) = self.warm.take().filter(|warm| warm.since.elapsed() < self.server.limits.warm) {
            match smtp::send(&mut warm.connection, &self.from.email, sealed, self.to.all().len()).await {
                // A server may close a connection that waits; nothing was sent yet, so a new one is tried at once.
                Transaction::NotBegun(_) => {}
                Transaction::Ended { attempt, reusable } => return self.ended(warm.connection, attempt, reusable),
            }
        }
        let mut connection = match Connection::open(&self.server).await {
            Ok(connection) => connection,
            Err(error) => return Attempt::failed(sealed, &error.failure()),
        };
        match smtp::send(&mut connection, &self.from.email, sealed, self.to.all().len()).await {
            Transaction::NotBegun(error) => Attempt::failed(sealed, &error.failure()),
            Transaction::Ended { attempt, reusable } => self.ended(connection, attempt, reusable),
        }
    }

    fn recipients(&self) -> Vec<Arc<str>> {
        self.to.all().iter().map(|to| Arc::from(to.email.to_string())).collect()
    }

    fn ended(&mut self, connection: Connection, attempt: Attempt, reusable: bool) -> Attempt {
        self.warm = reusable.then(|| Warm { connection, since: Instant::now() });
        attempt
    }

    /// Ends the connection that was kept for the next message.
    pub async fn rest(&mut self) {
        if let Some(warm) = self.warm.take() {
            warm.connection.quit().await;
        }
    }

    /// Writes a mail, connects, logs in, names sender and recipients, and leaves again without sending anything; within 15 s.
    /// Returns what it found in one line, with the recipients that the server does not take for the moment.
    ///
    /// # Errors
    /// Fails with the first thing that the server did not do, or with a recipient that it refuses for good, or why no mail can be written.
    pub async fn check(&self) -> Result<String, Failure> {
        self.seal(&render::sample()).map_err(|error| Failure::down(error.to_string()))?;
        let server = Arc::new(self.server.within(CHECK));
        let mut connection = Connection::open(&server).await.map_err(|error| error.failure())?;
        let rehearsed = smtp::rehearse(&mut connection, &self.from.email, &self.recipients()).await;
        let attempt = rehearsed.map_err(|error| error.failure())?;
        connection.quit().await;
        let mut described = server.describe();
        for (to, failure) in attempt.failed {
            let error = format!("{to}: {}", failure.error);
            if failure.lasting || failure.fault == Fault::Sink {
                return Err(Failure { error, ..failure });
            }
            described = format!("{described}\nnot now: {error}");
        }
        Ok(described)
    }
}
