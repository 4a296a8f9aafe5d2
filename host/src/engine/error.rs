//! What can go wrong with an engine, and how to mend it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use crate::text;
use crate::tls::{self, Keys};

/// How hints name what is configured.
const KEYS: Keys = Keys {
    server: "`host`",
    ca: "tls = { ca = \"ca.pem\" }",
    plain: "the engine does not speak TLS on this port: remove `tls` (or `DOCKER_TLS_VERIFY`), or use the port with TLS, 2376",
};
const TLS_HINT: &str = "check `tls` of the engine: `ca`, and `cert` with its `key`";

/// Most bytes of what an engine says that are quoted.
const QUOTED: usize = 300;

/// An engine that does not do what it should. Its text names the engine, where it is, what happened, and in a last line
/// that begins `hint:` how to mend it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("engine `{engine}` at `{address}`: {fault}\nhint: {}", .fault.hint())]
pub struct EngineError {
    /// Configured name of the engine.
    pub engine: Arc<str>,
    /// Where it should be.
    pub address: Address,
    /// What happened.
    pub fault: Fault,
}

/// What happened to a connection. The text is one line and holds neither the engine's name nor the hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing is where the unix socket should be.
    #[error("there is no socket `{}`", .0.display())]
    NoSocket(PathBuf),
    /// Something else is where the unix socket should be.
    #[error("`{}` is {what}, not a socket", .path.display())]
    NotASocket {
        /// Where the socket should be.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The socket is there, and not for us.
    #[error("permission denied on the socket `{}`", .socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// Id of the group that owns it, where that can be seen.
        group: Option<u32>,
    },
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// No way there: no such name, no route, ...
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// A certificate or key of the configuration cannot be used.
    #[error("cannot use `{}`: {reason}", .file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No certificate of the system can be used, and the configuration names no `ca`.
    #[error("no certificate authority to trust: {0}")]
    NoAuthorities(String),
    /// The TLS handshake failed, or the engine refused our certificate.
    #[error("TLS failed: {0}")]
    Tls(TlsFault),
    /// Something answers, but it does not speak the API.
    #[error("this is not a container engine: {0}")]
    NotAnEngine(String),
    /// The engine, or a proxy before it, answered with an error.
    #[error("`{path}` was answered with status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What was asked, without the query.
        path: String,
        /// What the engine said about it; one line of at most 300 bytes.
        message: String,
    },
    /// No answer in time.
    #[error("no answer to {what} within {} s", .limit.as_secs())]
    Timeout {
        /// What was tried.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The stream of events ended, though nobody asked for it.
    #[error("the engine closed the stream")]
    Closed,
    /// The answer is not what the API describes.
    #[error("the answer to `{path}` cannot be read: {reason}")]
    Answer {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer has more bytes than are read.
    #[error("the answer to `{path}` is larger than {} KiB", .limit >> 10)]
    TooLarge {
        /// What was asked, without the query.
        path: String,
        /// How many bytes are read, head and all.
        limit: u64,
    },
}

/// Why a TLS handshake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFault {
    reason: String,
    hint: String,
}

impl TlsFault {
    /// Makes one of the library's error.
    pub(super) fn of(error: &rustls::Error) -> Self {
        let hint = tls::hint(error, KEYS).unwrap_or_else(|| match error {
            rustls::Error::AlertReceived(_) => {
                "the engine wants a certificate that it trusts: `tls = { ca = …, cert = \"cert.pem\", key = \"key.pem\" }`"
                    .to_owned()
            }
            _ => TLS_HINT.to_owned(),
        });
        Self { reason: quoted(error), hint }
    }

    /// Makes one of what else went wrong.
    pub(super) fn other(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: TLS_HINT.to_owned() }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Fault {
    /// How to mend it; one line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoSocket(socket) => format!(
                "start the engine, or name its socket in `DOCKER_HOST` or in `host` of the engine; in a container, mount it: \
                 `--volume {0}:{0}`; that of a rootless engine is `/run/user/UID/docker.sock`",
                socket.display()
            ),
            Self::NotASocket { .. } => {
                "Docker makes a directory of a mounted file that does not exist on the host: remove it, and start the \
                                        engine before the container"
                    .to_owned()
            }
            Self::Denied { socket, group } => denied(socket, *group),
            Self::Refused => "is the engine running, and is this the address where it listens?".to_owned(),
            Self::Unreachable(_) => "check `host` of the engine (or `DOCKER_HOST`) and the network between".to_owned(),
            Self::Certificate { .. } => {
                "`tls` takes PEM files: `ca`, and `cert` with its `key`; with `DOCKER_CERT_PATH` they are `ca.pem`, \
                 `cert.pem` and `key.pem` in that folder"
                    .to_owned()
            }
            Self::NoAuthorities(_) => "name the engine's authority: `tls = { ca = \"ca.pem\" }`".to_owned(),
            Self::Tls(fault) => fault.hint.clone(),
            Self::NotAnEngine(_) => {
                "check the port: Docker listens on 2375, with TLS on 2376; a web server or a registry is something else"
                    .to_owned()
            }
            Self::Status { status, path, message } => refused(*status, path, message),
            Self::Timeout { .. } => "is the engine overloaded, or does a firewall swallow the packets?".to_owned(),
            Self::Broken(_) | Self::Closed => {
                "was the engine restarted? A proxy between may cut idle connections: raise its timeout for `/events`"
                    .to_owned()
            }
            Self::TooLarge { .. } => {
                "no engine is known to say as much: is something else at this address, or do containers have very large labels?"
                    .to_owned()
            }
            Self::Answer { .. } => "is something between dockbell and the engine that changes answers?".to_owned(),
        }
    }
}

/// Returns what an engine says, or what is said about its answer and may quote it, as it may be shown: one short line.
pub(super) fn quoted(text: &(impl std::fmt::Display + ?Sized)) -> String {
    text::one_line(&text.to_string(), QUOTED)
}

fn denied(socket: &Path, group: Option<u32>) -> String {
    let Some(group) = group else {
        return format!(
            "let the user that runs dockbell read and write `{}`; its folder must be open to that user, too",
            socket.display()
        );
    };
    format!(
        "add the user that runs dockbell to the group of the socket: `sudo usermod -aG docker USER` (group id {group}) and \
         log in anew; in compose: `group_add: [\"{group}\"]`"
    )
}

fn refused(status: u16, path: &str, message: &str) -> String {
    if message.contains("HTTP request to an HTTPS server") {
        return "the engine wants TLS: set `tls` of the engine, or `DOCKER_TLS_VERIFY=1` with `DOCKER_CERT_PATH`"
            .to_owned();
    }
    match status {
        401 | 403 => match grant(path) {
            Some(grant) => {
                format!("a proxy before the engine forbids this: start it with `{grant}=1` in its environment")
            }
            None => "a proxy before the engine, or a plugin of the engine, forbids this".to_owned(),
        },
        400 if message.contains("version") => {
            "dockbell speaks API 1.41 (Docker 20.10) to 1.53; update the older of the two".to_owned()
        }
        404 => "is this the API of a container engine, without a path before it?".to_owned(),
        502..=504 => "the proxy before the engine does not reach it: is the engine running?".to_owned(),
        500.. => "look at the engine's own log: `journalctl --unit docker`".to_owned(),
        _ => "look at the log of the engine, or of the proxy before it".to_owned(),
    }
}

/// The switch of the usual socket proxies (Tecnativa, linuxserver, and those made after them) that lets a path through.
fn grant(path: &str) -> Option<&'static str> {
    match path.split('/').find(|part| !part.is_empty() && !is_version(part))? {
        "events" => Some("EVENTS"),
        "_ping" => Some("PING"),
        "version" => Some("VERSION"),
        "containers" => Some("CONTAINERS"),
        _ => None,
    }
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) && part.contains('.')
}
