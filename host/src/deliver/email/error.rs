//! What can go wrong with a mail, whose fault it is, and how to mend it.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use crate::config::Mistake;
use crate::deliver::{Failure, Fault, TlsError};
use crate::text;

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
    /// NOOP, of `check`.
    Noop,
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
            Self::Noop => "NOOP",
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
    /// The server does not offer the login that is wanted.
    NoLogin(&'static str),
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
            Cause::Late(limit) => write!(f, "no answer within {} s", limit.as_secs_f64()),
            Cause::Lost(_, error) => f.write_str(error),
            Cause::Tls(error) => write!(f, "{error}"),
            Cause::Garbled(error) => write!(f, "not an answer of a mail server: {error}"),
            Cause::NoStartTls => f.write_str("the server does not offer STARTTLS"),
            Cause::NoLogin(wanted) => write!(f, "the server offers no login by {wanted}"),
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
            Self::No { words, .. } | Self::Odd { words, .. } | Self::NoToken { words, .. } | Self::Garbled(words) => {
                Some(words)
            }
            _ => None,
        }
    }

    /// The cause behind an error of lettre's.
    pub(super) fn of(error: &lettre::transport::smtp::Error) -> Self {
        let words = error.source().map(|source| text::one_line(&source.to_string(), WORDS)).unwrap_or_default();
        if let Some(code) = error.status() {
            return Self::No { code: code.into(), words };
        }
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(error) = inner.downcast_ref::<io::Error>() {
                return Self::io(error);
            }
            source = inner.source();
        }
        // What lettre says when the server closes the connection instead of answering.
        if words == "incomplete response" {
            return Self::Lost(io::ErrorKind::UnexpectedEof, "the server closed the connection".to_owned());
        }
        Self::Garbled(words)
    }

    pub(super) fn io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Self::Tls(error.clone()),
            None => Self::Lost(error.kind(), text::one_line(&error.to_string(), WORDS)),
        }
    }
}

impl SmtpError {
    /// Whose fault it is, whether it lasts, and what to do about it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (fault, lasting) = self.fault();
        let unanswered = !matches!(self.cause, Cause::No { .. } | Cause::Unfit(_));
        Failure {
            retry_after: None,
            fault,
            lasting,
            ambiguous: self.stage == Stage::Accept && unanswered,
            error: self.to_string(),
            hint: self.hint().map(str::to_owned),
        }
    }

    /// Whether the dialogue can go on with another recipient.
    pub(super) const fn of_one_recipient(&self) -> bool {
        match self.cause {
            Cause::No { code, .. } => code != 421,
            Cause::NoUtf8 { .. } | Cause::Unfit(_) => true,
            _ => false,
        }
    }

    /// Up to MAIL a failure says nothing about a message, whatever its code: a wrong password or a greeting with 554 would
    /// otherwise throw away all mail.
    fn fault(&self) -> (Fault, bool) {
        use Stage::{Accept, Body, Data, Mail, Rcpt};
        match (&self.cause, self.stage) {
            (Cause::NoUtf8 { .. }, _) | (Cause::Unfit(_), Rcpt) => (Fault::Recipient, true),
            (Cause::Unfit(_), _) => (Fault::Message, true),
            // The server goes away; it wants a login first; it has no room for anything.
            (Cause::No { code: 421 | 530, .. }, _) | (Cause::No { code: 452, .. }, Data | Body | Accept) => {
                (Fault::Sink, false)
            }
            (Cause::No { code: 552, .. }, Mail) => (Fault::Message, true),
            // RFC 5321 section 4.5.3.1.10: 552 for too many recipients counts as 452.
            (Cause::No { code, .. }, Rcpt) => (Fault::Recipient, *code >= 500 && *code != 552),
            (Cause::No { code, .. }, Data | Body | Accept) => (Fault::Message, *code >= 500),
            _ => (Fault::Sink, false),
        }
    }

    fn hint(&self) -> Option<&str> {
        use io::ErrorKind;
        match (&self.cause, self.stage) {
            (Cause::NoStartTls, _) => Some(
                "for a relay on your own network that has no TLS, add `?tls=none` to `server`; port 465 wants `smtps://`",
            ),
            (Cause::NoSecret(mistake), _) => mistake.hint.as_deref(),
            (Cause::NoToken { .. }, _) => {
                Some("check `user`, and that the token is fresh, of this mailbox, and has the scope for sending mail")
            }
            (Cause::NoLogin("XOAUTH2"), _) => Some("leave out `auth` to log in with a password"),
            (Cause::NoLogin(_), _) => Some("for a relay that wants no login, leave out `user` and the password"),
            (Cause::No { code: 530, .. }, _) => {
                Some("the server wants a login, or TLS: see `user`, `password-file`, `server`")
            }
            (Cause::No { .. }, Stage::Login) => Some("check `user` and `password-file`"),
            (Cause::No { .. }, Stage::Mail) => {
                Some("check `from`: the server may take mail from its own addresses only")
            }
            (Cause::Tls(error), _) => tls_hint(error),
            (Cause::Lost(ErrorKind::ConnectionRefused, _), _) => {
                Some("nothing listens there; check the port: 465 `smtps://`, 587 `smtp://`, 25 for relays")
            }
            (Cause::Lost(ErrorKind::UnexpectedEof, _), Stage::Greeting) | (Cause::Late(_), Stage::Greeting) => {
                Some("if the server wants TLS from the first byte (port 465), write `smtps://`")
            }
            (Cause::Late(_), Stage::Connect) => {
                Some("a firewall may drop the connection; port 25 is often closed, try 587")
            }
            (Cause::Lost(..), Stage::Connect) => Some("check the host name in `server`, and the network"),
            _ => None,
        }
    }
}

fn tls_hint(error: &rustls::Error) -> Option<&'static str> {
    use CertificateError as Wrong;
    Some(match error {
        rustls::Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => {
            "who signed the certificate is not known here; name the signer's PEM file: ca = \"/path/to/ca.pem\""
        }
        rustls::Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. }) => {
            "the server's certificate has expired; it must be renewed there, or the clock here is wrong"
        }
        rustls::Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
            "`server` must name the host as its certificate does"
        }
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS at this point; for STARTTLS (port 587) write `smtp://`"
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) | rustls::Error::PeerIncompatible(_) => {
            "the server must speak TLS 1.2 or 1.3"
        }
        _ => return None,
    })
}
