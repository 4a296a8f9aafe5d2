//! Whose fault it is when a mail is not taken, and how to mend it.

use std::io::ErrorKind;

use super::error::{Cause, SmtpError, Stage};
use super::status::{self, Topic};
use crate::deliver::{Failure, Fault};
use crate::tls::{self, Keys};

/// How hints name what is configured.
const KEYS: Keys = Keys {
    server: "`server`",
    ca: "ca = \"/path/to/ca.pem\"",
    plain: "the server does not speak TLS at this point; for STARTTLS (port 587) write `smtp://`",
};

impl SmtpError {
    /// Returns whose fault it is, whether it lasts, and what to do about it.
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
            hint: self.hint(),
        }
    }

    /// Returns whether the dialogue can go on with another recipient.
    pub(super) const fn of_one_recipient(&self) -> bool {
        match self.cause {
            Cause::No { code, .. } => code != 421,
            Cause::NoUtf8 { .. } | Cause::Unfit(_) => true,
            _ => false,
        }
    }

    /// Returns whether a refusal of RCPT speaks of something else than the recipient's mailbox.
    pub(super) fn speaks_of_session(&self) -> bool {
        matches!(&self.cause, Cause::No { code, words } if status::topic(*code, words) != Topic::Mailbox)
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

    fn hint(&self) -> Option<String> {
        match (&self.cause, self.stage) {
            (Cause::NoSecret(mistake), _) => mistake.hint.clone(),
            (Cause::Tls(error), _) => tls::hint(error, KEYS),
            _ => self.fixed_hint().map(str::to_owned),
        }
    }

    fn fixed_hint(&self) -> Option<&'static str> {
        Some(match (&self.cause, self.stage) {
            (Cause::NoStartTls, _) => {
                "for a relay on your own network that has no TLS, add `?tls=none` to `server`; port 465 wants `smtps://`"
            }
            (Cause::NoToken { .. }, _) => {
                "check `user`, and that the token is fresh, of this mailbox, and has the scope for sending mail"
            }
            (Cause::NoLogin { wanted: "XOAUTH2", .. }, _) => "leave out `auth` to log in with a password",
            (Cause::NoLogin { .. }, _) => {
                "for a relay that wants no login, leave out `user` and the password; many servers offer one over TLS only"
            }
            (Cause::No { code: 530, .. }, _) => {
                "the server wants a login, or TLS: see `user`, `password-file`, `server`"
            }
            (Cause::No { .. }, Stage::Login) => "check `user` and `password-file`",
            (Cause::No { code, words }, stage @ (Stage::Greeting | Stage::Mail | Stage::Rcpt)) => {
                match (status::topic(*code, words), stage) {
                    (Topic::Name, _) => {
                        "set `ehlo` of the sink to this machine's full name, such as \"web-1.example.com\""
                    }
                    (Topic::Client, _) => {
                        "the server does not take mail from this machine: log in (`user`, `password-file`), or let its \
                         administrator allow this address"
                    }
                    (Topic::Sender, _) | (_, Stage::Mail) => {
                        "check `from`: the server may take mail from its own addresses only"
                    }
                    _ => return None,
                }
            }
            (Cause::Lost(ErrorKind::ConnectionRefused, _), _) => {
                "nothing listens there; check the port: 465 `smtps://`, 587 `smtp://`, 25 for relays"
            }
            (Cause::Lost(ErrorKind::UnexpectedEof, _), Stage::Greeting) | (Cause::Late(_), Stage::Greeting) => {
                "if the server wants TLS from the first byte (port 465), write `smtps://`"
            }
            (Cause::Late(_), Stage::Connect) => "a firewall may drop the connection; port 25 is often closed, try 587",
            (Cause::Lost(..), Stage::Connect) => "check the host name in `server`, and the network",
            _ => return None,
        })
    }
}
