//! One connection to a mail server, stage by stage.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lettre::Address;

use super::error::{Cause, SmtpError, Stage};
use super::offers::Offers;
use super::reply::Reply;
use super::security::Security;
use super::server::Server;
use super::transfer;
use super::wire::Wire;
use crate::config::Mask;

/// First digit of the reply that each command but DATA wants.
pub(super) const DONE: u16 = 2;
/// First digit of the reply that wants more: to DATA, and to a step of a login.
pub(super) const MORE: u16 = 3;

/// A connection to a mail server that is greeted, protected and logged in. After an error it must be dropped, but for a
/// refusal ([`Cause::No`]) of RCPT.
pub(super) struct Connection {
    wire: Wire,
    pub(super) server: Arc<Server>,
    pub(super) offers: Offers,
    /// What no error may show.
    pub(super) hidden: Vec<String>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.server)
    }
}

impl Connection {
    pub(super) async fn open(server: &Arc<Server>) -> Result<Self, SmtpError> {
        let wire = server.connect().await?;
        let mut connection = Self { wire, server: Arc::clone(server), offers: Offers::default(), hidden: Vec::new() };
        let greeted = server.stage(Stage::Greeting, server.limits.greeting, connection.greet()).await;
        greeted.map_err(|cause| server.error(Stage::Greeting, cause))?;
        if matches!(server.security, Security::StartTls(..)) {
            let encrypted = server.stage(Stage::StartTls, server.limits.command, connection.start_tls()).await;
            connection = encrypted.map_err(|cause| server.error(Stage::StartTls, cause))?;
        }
        if let Some(login) = &server.login {
            connection.login(login).await?;
        }
        Ok(connection)
    }

    async fn greet(&mut self) -> Result<(), Cause> {
        wanted(self.wire.reply().await?, DONE)?;
        self.hello().await
    }

    async fn hello(&mut self) -> Result<(), Cause> {
        let local = self.wire.local_address().ok().map(|address| address.ip());
        let hello = format!("EHLO {}", self.server.hello.on(local));
        self.offers = Offers::of(&wanted(self.ask(&hello).await?, DONE)?);
        Ok(())
    }

    async fn start_tls(mut self) -> Result<Self, Cause> {
        let Security::StartTls(tls, name) = &self.server.security else { return Ok(self) };
        if !self.offers.start_tls {
            return Err(Cause::NoStartTls);
        }
        let (tls, name) = (tls.clone(), name.clone());
        wanted(self.ask("STARTTLS").await?, DONE)?;
        // What was offered before was offered by anybody (RFC 3207 section 4.2).
        let mut connection = Self { wire: self.wire.encrypt(&tls, &name).await?, ..self };
        connection.hello().await?;
        Ok(connection)
    }

    pub(super) async fn mail(&mut self, from: &Address, utf8: bool) -> Result<(), SmtpError> {
        let parameter = if utf8 { " SMTPUTF8" } else { "" };
        let limit = self.server.limits.command;
        self.command(Stage::Mail, limit, &format!("MAIL FROM:<{from}>{parameter}"), DONE).await
    }

    pub(super) async fn rcpt(&mut self, to: &Address) -> Result<(), SmtpError> {
        let limit = self.server.limits.command;
        self.command(Stage::Rcpt, limit, &format!("RCPT TO:<{to}>"), DONE).await
    }

    /// Sends the message; only a 2xx after its end means that the server has it.
    pub(super) async fn data(&mut self, mail: &[u8]) -> Result<(), SmtpError> {
        let server = Arc::clone(&self.server);
        self.command(Stage::Data, server.limits.data, "DATA", MORE).await?;
        let sent = transfer::send(&mut self.wire, &server, mail).await;
        let reply = sent.map_err(|(stage, cause)| self.error(stage, cause))?;
        wanted(reply, DONE).map(drop).map_err(|cause| self.error(Stage::Accept, cause))
    }

    pub(super) async fn reset(&mut self) -> Result<(), SmtpError> {
        let limit = self.server.limits.command;
        self.command(Stage::Reset, limit, "RSET", DONE).await
    }

    /// Takes leave. Whatever the server makes of it, nothing is lost.
    pub(super) async fn quit(mut self) {
        let limit = self.server.limits.quit;
        let _ = tokio::time::timeout(limit, self.ask("QUIT")).await;
    }

    /// Sends one line and reads the reply to it.
    pub(super) async fn ask(&mut self, line: &str) -> Result<Reply, Cause> {
        self.wire.send(format!("{line}\r\n").as_bytes()).await?;
        self.wire.reply().await
    }

    async fn command(&mut self, stage: Stage, limit: Duration, line: &str, class: u16) -> Result<(), SmtpError> {
        let server = Arc::clone(&self.server);
        let asked = async { wanted(self.ask(line).await?, class) };
        let reply = server.stage(stage, limit, asked).await;
        reply.map(drop).map_err(|cause| self.error(stage, cause))
    }

    /// Makes an error without the secret of the login.
    pub(super) fn error(&self, stage: Stage, mut cause: Cause) -> SmtpError {
        if let Some(words) = cause.words() {
            *words = Mask::new(self.hidden.iter().map(String::as_str)).hide(words, "[hidden]", words.len());
        }
        self.server.error(stage, cause)
    }
}

/// Returns the reply if its code begins with this digit.
pub(super) fn wanted(reply: Reply, class: u16) -> Result<Reply, Cause> {
    let (code, words) = (reply.code, reply.words());
    match reply {
        reply if reply.is(class) => Ok(reply),
        _ if code >= 400 => Err(Cause::No { code, words }),
        _ => Err(Cause::Odd { code, words }),
    }
}
