//! What can go wrong before a service has answered, and how to mend it.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hyper::StatusCode;

use super::proxy::Proxy;
use crate::config::HttpUrl;
use crate::deliver::Failure;
use crate::text;
use crate::tls::{self, Keys};

/// How hints name what is configured.
const KEYS: Keys = Keys {
    server: "the URL",
    ca: "ca = \"/path/to/ca.pem\"",
    plain: "the service does not speak TLS on this port; `http://` is without",
};

/// Most bytes of what a library says.
const WORDS: usize = 300;

/// Where in a request something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Finding the address and connecting.
    Connect,
    /// TLS handshake.
    Tls,
    /// After the first byte of the request may have been sent.
    Answer,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cause {
    /// Not done in time.
    Late(Duration),
    /// The network failed.
    Io(io::ErrorKind, String),
    /// TLS failed.
    Tls(rustls::Error),
    /// No request may go there.
    Refused { ip: IpAddr, why: &'static str },
    /// The connection ended, or what came is no answer.
    Broken(String),
    /// A proxy does not connect to the service.
    Proxy(StatusCode),
    /// The value of a variable is no proxy that dockbell can use.
    NotAProxy(&'static str),
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The name leads to an address to which no request may go.
    Address,
    /// The service cannot be connected to.
    Connect,
    /// TLS does not come about.
    Tls,
    /// It took too long.
    Late,
    /// The connection ended, or what came is no answer.
    Broken,
}

/// Why a request has no answer. `Display` shows no more of the URL than its host.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpError {
    place: String,
    /// The variable that names the proxy, if the request went through one.
    proxy: Option<&'static str>,
    stage: Stage,
    cause: Cause,
}

impl HttpError {
    pub(super) fn new(url: &HttpUrl, stage: Stage, cause: Cause) -> Self {
        Self { place: url.to_string(), proxy: None, stage, cause }
    }

    /// Returns the error of a request through a proxy.
    pub(super) fn through(mut self, proxy: &Proxy) -> Self {
        self.place = format!("{} through the proxy {proxy}", self.place);
        self.proxy = Some(proxy.variable);
        self
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match (&self.cause, self.stage) {
            (Cause::Refused { .. }, _) => Kind::Address,
            (Cause::Late(_), _) => Kind::Late,
            (_, Stage::Connect) => Kind::Connect,
            (_, Stage::Tls) => Kind::Tls,
            (_, Stage::Answer) => Kind::Broken,
        }
    }

    /// Whether the service may have got the request all the same.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self.stage, Stage::Answer)
    }

    /// The failure of a sink: it is down, and its messages wait.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure { ambiguous: self.is_ambiguous(), hint: self.hint(), ..Failure::down(self.to_string()) }
    }

    fn hint(&self) -> Option<String> {
        let hint = match &self.cause {
            Cause::Tls(error) => return tls::hint(error, KEYS),
            Cause::Refused { ip, .. } if ip.to_canonical().is_loopback() => {
                "for a receiver on this machine set `allow-loopback = true`"
            }
            Cause::Refused { .. } => "the name must lead to an address of the internet or of your own network",
            Cause::NotAProxy(variable) => {
                return Some(format!(
                    "write `{variable}=http://user:password@host:port`; `https://` is possible, SOCKS is not"
                ));
            }
            _ if self.stage == Stage::Connect
                && let Some(variable) = self.proxy =>
            {
                return Some(format!(
                    "check host, port and login in `{variable}`; a host in `NO_PROXY` is connected to without a proxy"
                ));
            }
            Cause::Io(io::ErrorKind::ConnectionRefused, _) => "nothing listens there; check the port",
            Cause::Late(_) if self.stage == Stage::Connect => "a firewall may drop the connection",
            Cause::Io(..) if self.stage == Stage::Connect => {
                "check the host name in the URL, and the network; where only a proxy leads out, name it in `HTTPS_PROXY` (`HTTP_PROXY` for `http://`)"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Connect => "connect",
            Stage::Tls => "TLS handshake",
            Stage::Answer => "answer",
        };
        write!(f, "{}: {stage}: ", self.place)?;
        match &self.cause {
            Cause::Late(limit) => write!(f, "none within {} s", limit.as_secs_f64()),
            Cause::Io(_, words) | Cause::Broken(words) => f.write_str(words),
            Cause::Tls(error) => write!(f, "{error}"),
            Cause::Proxy(status) => write!(f, "the proxy answers {status}"),
            Cause::NotAProxy(variable) => write!(f, "the value of `{variable}` is not the URL of a proxy"),
            Cause::Refused { ip, why } => write!(f, "{ip} is {why}; nothing is sent there"),
        }
    }
}

impl Error for HttpError {}

impl Cause {
    pub(super) fn io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Self::Tls(error.clone()),
            None => Self::Io(error.kind(), text::one_line(&error.to_string(), WORDS)),
        }
    }

    pub(super) fn hyper(error: &hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::Broken("the service closed the connection without an answer".to_owned());
        }
        match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
            Some(error) => Self::io(error),
            None => Self::Broken(format!("not an answer of HTTP: {}", text::one_line(&error.to_string(), WORDS))),
        }
    }
}
