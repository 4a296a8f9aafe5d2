//! What can go wrong with a mail.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::config::Mistake;
use crate::text;
use crate::tls::TlsError;

/// Most bytes of a server's reply that are repeated.
pub(super) const WORDS: usize = 300;

/// Why a mail sink cannot be opened, or a mail not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// `to` is empty.
    #[error("`to` names no recipient\nhint: to = [\"ops@example.com\"]")]
    NoRecipient,
    /// An address is none.
    #[error("not a mail address: `{address}`\nhint: write `name@example.com` or `Name <name@example.com>`")]
    Address {
        /// What was configured.
        address: String,
    },
    /// The sender has other characters than ASCII before the `@`.
    #[error("not an address that every server takes as a sender: `{address}`\nhint: use ASCII before the `@`")]
    Sender {
        /// What was configured.
        address: String,
    },
    /// The server's name is none that a certificate can hold.
    #[error("not a host name or address: `{host}`\nhint: server = \"smtp://mail.example.com:587\"")]
    ServerName {
        /// What was configured.
        host: String,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The mail could not be written.
    #[error("the mail cannot be written: {error}")]
    Write {
        /// What the library says.
        error: String,
    },
}

/// Where in a delivery something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Finding the address and connecting.
    Connect,
    /// TLS from the first byte.
    Tls,
    /// Greeting and EHLO.
    Greeting,
    /// STARTTLS and the handshake after it.
    StartTls,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, before the first byte of the message.
    Data,
    /// While the message is sent.
    Body,
    /// After the whole message, before the server has taken it.
    Accept,
    /// RSET, between messages.
    Reset,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Tls => "TLS handshake",
            Self::Greeting => "greeting and EHLO",
            Self::StartTls => "STARTTLS",
            Self::Login => "login",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::Body => "sending the message",
            Self::Accept => "end of the message",
            Self::Reset => "RSET",
        })
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cause {
    /// The server said no.
    No { code: u16, words: String },
    /// The server said yes, but not the yes that belongs here.
    Odd { code: u16, words: String },
    /// No answer in time.
    Late(Duration),
    /// The connection failed or ended.
    Lost(io::ErrorKind, String),
    /// TLS failed.
    Tls(rustls::Error),
    /// The answer was none.
    Garbled(String),
    /// The server does not offer STARTTLS.
    NoStartTls,
    /// The server speaks before it is asked.
    Unasked { code: u16, words: String },
    /// The server does not offer the login that is wanted, but those.
    NoLogin { wanted: &'static str, offered: String },
    /// There is no password or token to log in with.
    NoSecret(Mistake),
    /// The server does not take the token.
    NoToken { code: u16, words: String },
    /// The server takes only ASCII addresses.
    NoUtf8 { recipient: String },
    /// The bytes of the mail are not fit to be sent.
    Unfit(String),
}

/// What went wrong in a dialogue with a mail server, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct SmtpError {
    pub(super) server: String,
    pub(super) stage: Stage,
    pub(super) cause: Cause,
}

impl fmt::Display for SmtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.server, self.stage)?;
        match &self.cause {
            Cause::No { code, words } => write!(f, "{code} {words}"),
            Cause::Odd { code, words } => write!(f, "unexpected answer: {code} {words}"),
            Cause::Unasked { code, words } => write!(f, "answered before it was asked: {code} {words}"),
            Cause::Late(limit) if limit.as_secs() == 0 => write!(f, "no answer within {} ms", limit.as_millis()),
            Cause::Late(limit) => write!(f, "no answer within {} s", limit.as_secs_f64().round()),
            Cause::Lost(_, error) => f.write_str(error),
            Cause::Tls(error) => write!(f, "{error}"),
            Cause::Garbled(error) => write!(f, "not an answer of a mail server: {error}"),
            Cause::NoStartTls => f.write_str("the server does not offer STARTTLS"),
            Cause::NoLogin { wanted, offered } if offered.is_empty() => {
                write!(f, "without `AUTH` the server offers no login by {wanted}")
            }
            Cause::NoLogin { wanted, offered } => {
                write!(f, "with `AUTH {offered}` the server offers no login by {wanted}")
            }
            Cause::NoSecret(mistake) => f.write_str(&mistake.message),
            Cause::NoToken { code, words } => write!(f, "the token is refused: {code} {words}"),
            Cause::NoUtf8 { recipient } => {
                write!(f, "{recipient}: the server takes only ASCII before the `@` (no SMTPUTF8)")
            }
            Cause::Unfit(error) => f.write_str(error),
        }
    }
}

impl Error for SmtpError {}

impl Cause {
    /// What the server said, where it said something.
    pub(super) fn words(&mut self) -> Option<&mut String> {
        match self {
            Self::No { words, .. }
            | Self::Odd { words, .. }
            | Self::Unasked { words, .. }
            | Self::NoToken { words, .. }
            | Self::Garbled(words) => Some(words),
            _ => None,
        }
    }

    pub(super) fn io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Self::Tls(error.clone()),
            None => Self::Lost(error.kind(), text::one_line(&error.to_string(), WORDS)),
        }
    }
}
