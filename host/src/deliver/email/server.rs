//! A mail server: where it is, how it is spoken with, and how long each stage may take.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tracing::info;

use super::error::{Cause, EmailError, SmtpError, Stage, WORDS};
use super::hello::Hello;
use super::limits::Limits;
use super::security::Security;
use super::wire::Wire;
use crate::config::{Login, SmtpServer};
use crate::deliver::dial;
use crate::text;

/// After this time a stage that is still waited for is logged.
const NOTICE: Duration = Duration::from_secs(10);

/// A mail server, and how to speak with it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    host: String,
    port: u16,
    pub(super) security: Security,
    pub(super) login: Option<Login>,
    pub(super) hello: Hello,
    pub(super) limits: Limits,
    /// When a check must have its answer.
    deadline: Option<Instant>,
}

impl Server {
    pub(super) fn new(config: &SmtpServer, hostname: &str) -> Result<Self, EmailError> {
        Ok(Self {
            host: config.host.clone(),
            port: config.port,
            security: Security::new(config)?,
            login: config.login.clone(),
            hello: Hello::new(config.ehlo.as_deref(), hostname),
            limits: Limits::default(),
            deadline: None,
        })
    }

    /// Returns the same with a limit for all stages together.
    pub(super) fn within(&self, limit: Duration) -> Self {
        Self { deadline: Some(Instant::now() + limit), ..self.clone() }
    }

    /// Returns one line about it, for `check`.
    pub(super) fn describe(&self) -> String {
        let login =
            self.login.as_ref().map_or_else(|| "no login".to_owned(), |login| format!("login as `{}`", login.user));
        format!("mail server {self}, {}, {login}", self.security.name())
    }

    pub(super) fn error(&self, stage: Stage, mut cause: Cause) -> SmtpError {
        if let Some(words) = cause.words() {
            *words = text::one_line(words, WORDS);
        }
        SmtpError { server: self.to_string(), stage, cause }
    }

    /// Runs a stage within its limit, and logs it when it takes long.
    pub(super) async fn stage<T>(
        &self,
        stage: Stage,
        limit: Duration,
        work: impl Future<Output = Result<T, Cause>>,
    ) -> Result<T, Cause> {
        let limit = self.deadline.map_or(limit, |deadline| limit.min(deadline.duration_since(Instant::now())));
        let mut work = pin!(work);
        let short = limit.min(NOTICE);
        if let Ok(done) = timeout(short, &mut work).await {
            return done;
        }
        if limit > short {
            let seconds = limit.as_secs_f64().round();
            info!(server = %self, %stage, "The mail server has not answered yet; waiting for up to {seconds} s.");
        }
        timeout(limit - short, work).await.unwrap_or(Err(Cause::Late(limit)))
    }

    /// Connects, with TLS if that comes first.
    pub(super) async fn connect(&self) -> Result<Wire, SmtpError> {
        let limits = &self.limits;
        let dialed = async { connect(&self.host, self.port).await.map_err(|error| Cause::io(&error)) };
        let stream = self.stage(Stage::Connect, limits.connect, dialed).await;
        let stream = stream.map_err(|cause| self.error(Stage::Connect, cause))?;
        let Security::Implicit(tls, name) = &self.security else { return Ok(Wire::plain(stream)) };
        let handshake = self.stage(Stage::Tls, limits.tls, Wire::tls(stream, tls, name)).await;
        handshake.map_err(|cause| self.error(Stage::Tls, cause))
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

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = dial::first(lookup_host((host, port)).await?).await?;
    // The end of a message is a write of its own: without this it would wait for the acknowledgement of the one before,
    // 40 ms on Linux (measured: 43 ms a mail on loopback).
    stream.set_nodelay(true)?;
    Ok(stream)
}
