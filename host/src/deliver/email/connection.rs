//! One connection to a mail server, stage by stage.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Noop, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::{Cause, EmailError, SmtpError, Stage};
use super::limits::Limits;
use super::tls::Security;
use super::transfer;
use super::wire::Wire;
use crate::config::{Login, Mask, SmtpServer};
use crate::deliver::dial;
use crate::text;

/// A mail server, and how to speak with it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    login: Option<Login>,
    hello: ClientId,
    pub limits: Limits,
}

impl Server {
    pub(super) fn new(config: &SmtpServer, hostname: &str) -> Result<Self, EmailError> {
        Ok(Self {
            host: config.host.clone(),
            port: config.port,
            security: Security::new(config)?,
            login: config.login.clone(),
            hello: hello(hostname),
            limits: Limits::default(),
        })
    }

    /// What a check says of it.
    pub(super) fn describe(&self) -> String {
        let login =
            self.login.as_ref().map_or_else(|| "no login".to_owned(), |login| format!("login as `{}`", login.user));
        format!("mail server {self}, {}, {login}", self.security.name())
    }

    fn error(&self, stage: Stage, cause: Cause) -> SmtpError {
        SmtpError { server: self.to_string(), stage, cause }
    }

    /// Runs a stage within its limit.
    pub(super) async fn stage<T, E>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
        cause: impl FnOnce(&E) -> Cause,
    ) -> Result<T, Cause> {
        match timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(cause(&error)),
            Err(_) => Err(Cause::Late(limit)),
        }
    }

    async fn connect(&self) -> Result<Wire, SmtpError> {
        let limits = &self.limits;
        let stream = self.stage(limits.connect, connect(&self.host, self.port), Cause::io).await;
        let stream = stream.map_err(|cause| self.error(Stage::Connect, cause))?;
        // The end of a message is a write of its own: without this it would wait for the acknowledgement of the one
        // before, 40 ms on Linux (measured: 43 ms a mail on loopback).
        stream.set_nodelay(true).map_err(|error| self.error(Stage::Connect, Cause::io(&error)))?;
        let Security::Implicit(connector, name) = &self.security else {
            return Ok(Wire::plain(stream));
        };
        let handshake = connector.connect(name.clone(), stream);
        let stream = self.stage(limits.tls, handshake, Cause::io).await;
        Ok(Wire::tls(stream.map_err(|cause| self.error(Stage::Tls, cause))?))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A connection to a mail server that is greeted, protected and logged in. After an error it must be dropped, but for a
/// refusal ([`Cause::No`]) of RCPT.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    pub(super) server: Arc<Server>,
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
        let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &server.hello);
        let limits = &server.limits;
        let smtp = server.stage(limits.greeting, greeted, Cause::of).await;
        let smtp = smtp.map_err(|cause| server.error(Stage::Greeting, cause))?;
        let mut connection = Self { smtp, server: Arc::clone(server), hidden: Vec::new() };
        if let Security::StartTls(parameters) = &server.security {
            if !connection.smtp.can_starttls() {
                return Err(server.error(Stage::StartTls, Cause::NoStartTls));
            }
            let upgraded = connection.smtp.starttls(parameters.clone(), &server.hello);
            let upgraded = server.stage(limits.command, upgraded, Cause::of).await;
            upgraded.map_err(|cause| server.error(Stage::StartTls, cause))?;
        }
        if let Some(login) = &server.login {
            connection.login(login).await?;
        }
        Ok(connection)
    }

    pub(super) async fn mail(&mut self, from: Address, utf8: bool) -> Result<(), SmtpError> {
        let parameters = if utf8 { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
        let limit = self.server.limits.command;
        self.command(Stage::Mail, limit, Mail::new(Some(from), parameters), Severity::PositiveCompletion).await
    }

    pub(super) async fn rcpt(&mut self, to: Address) -> Result<(), SmtpError> {
        let limit = self.server.limits.command;
        self.command(Stage::Rcpt, limit, Rcpt::new(to, Vec::new()), Severity::PositiveCompletion).await
    }

    /// Sends the message; only a 2xx after its end means that the server has it.
    pub(super) async fn data(&mut self, mail: &[u8]) -> Result<(), SmtpError> {
        let limit = self.server.limits.data;
        self.command(Stage::Data, limit, Data, Severity::PositiveIntermediate).await?;
        let sent = transfer::send(&mut self.smtp, mail, &self.server.limits).await;
        let answer = sent.map_err(|(stage, cause)| self.error(stage, cause))?;
        self.expect(Stage::Accept, &answer, Severity::PositiveCompletion)
    }

    pub(super) async fn reset(&mut self) -> Result<(), SmtpError> {
        let limit = self.server.limits.command;
        self.command(Stage::Reset, limit, Rset, Severity::PositiveCompletion).await
    }

    pub(super) async fn noop(&mut self) -> Result<(), SmtpError> {
        let limit = self.server.limits.command;
        self.command(Stage::Noop, limit, Noop, Severity::PositiveCompletion).await
    }

    /// Takes leave. Whatever the server makes of it, nothing is lost.
    pub(super) async fn quit(mut self) {
        let _ = timeout(self.server.limits.quit, self.smtp.command(Quit)).await;
    }

    /// Whether the server takes addresses that are not ASCII.
    pub(super) fn takes_utf8(&self) -> bool {
        self.smtp.server_info().supports_feature(Extension::SmtpUtfEight)
    }

    /// An error without the secret of the login.
    pub(super) fn error(&self, stage: Stage, mut cause: Cause) -> SmtpError {
        if let Some(words) = cause.words() {
            *words = Mask::new(self.hidden.iter().map(String::as_str)).hide(words, "[hidden]", words.len());
        }
        self.server.error(stage, cause)
    }

    async fn command(
        &mut self,
        stage: Stage,
        limit: Duration,
        command: impl fmt::Display,
        wanted: Severity,
    ) -> Result<(), SmtpError> {
        let answer = self.server.stage(limit, self.smtp.command(command), Cause::of).await;
        let answer = answer.map_err(|cause| self.error(stage, cause))?;
        self.expect(stage, &answer, wanted)
    }

    /// lettre takes every positive answer for the right one.
    pub(super) fn expect(&self, stage: Stage, answer: &Response, wanted: Severity) -> Result<(), SmtpError> {
        if answer.code().severity == wanted {
            return Ok(());
        }
        let words = text::one_line(&answer.message().collect::<Vec<_>>().join(" "), super::error::WORDS);
        Err(self.error(stage, Cause::Odd { code: answer.code().into(), words }))
    }
}

/// The name for EHLO: the host's if it can be one.
fn hello(hostname: &str) -> ClientId {
    match url::Host::parse(hostname) {
        Ok(url::Host::Domain(domain)) => ClientId::Domain(domain),
        Ok(url::Host::Ipv4(address)) => ClientId::Ipv4(address),
        Ok(url::Host::Ipv6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain("localhost".to_owned()),
    }
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    dial::first(lookup_host((host, port)).await?).await
}
