//! The mail that tells a message. Its bytes depend on nothing but the message and the configuration, so that the same
//! message is the same mail whenever it is written.

use bytes::Bytes;
use jiff::Timestamp;
use lettre::Message as Mail;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, MessageBuilder};
use xxhash_rust::xxh3::xxh3_128;

use super::error::EmailError;
use super::mime::{self, Content};
use super::recipients::Recipients;
use crate::message::{Message, Notification, Phase};
use crate::text;

/// Longest value of a header that holds a name, such as a route's.
const NAME: usize = 200;
/// Longest subject, as a message may have it.
const SUBJECT: usize = 900;

/// Longest line, with its CR: 998 bytes and CR (RFC 5322 section 2.1.1).
const LINE: usize = 999;

/// A mail in full, and a plainer form where there is one.
#[derive(Debug)]
pub(super) struct Mails {
    pub full: Bytes,
    pub plain: Option<Bytes>,
}

/// Writes the mail that tells a message.
///
/// # Errors
/// Fails if lettre refuses the mail, or if servers would refuse its size or one of its lines; none is known to happen.
pub(super) fn render(message: &Message, from: &Mailbox, to: &Recipients, hostname: &str) -> Result<Mails, EmailError> {
    let write = |content: Content| {
        let head = head(message, from, to, hostname)?;
        let mail = match content {
            Content::One(part) => head.singlepart(part),
            Content::Many(parts) => head.multipart(parts),
        };
        sendable(mail.map_err(|error| EmailError::Write { error: error.to_string() })?.formatted())
    };
    let full = mime::full(message);
    let plain = mime::plainer(message, &full).map(write).transpose()?;
    Ok(Mails { full: write(full)?, plain })
}

/// Checks that a mail has no line and no size that servers refuse.
fn sendable(mail: Vec<u8>) -> Result<Bytes, EmailError> {
    let longest = mail.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or_default();
    let wrong = if longest > LINE {
        format!("it has a line of {longest} bytes, at most {LINE} are allowed")
    } else if mail.len() > mime::MAIL {
        format!("it has {} bytes, at most {} are allowed", mail.len(), mime::MAIL)
    } else {
        return Ok(Bytes::from(mail));
    };
    Err(EmailError::Write { error: wrong })
}

/// Returns a message to try whether mails can be written as the sink is configured.
pub(super) fn sample() -> Message {
    Message {
        id: ulid::Ulid::generate(),
        route: "check".into(),
        group: String::new(),
        phase: Phase::First,
        sealed_at: Timestamp::now(),
        total: 0,
        notification: Notification { subject: "check".to_owned(), alternatives: Vec::new(), fields: Vec::new() },
    }
}

fn head(message: &Message, from: &Mailbox, to: &Recipients, hostname: &str) -> Result<MessageBuilder, EmailError> {
    let told = &message.notification;
    let domain = from.email.domain();
    let thread = thread(message, domain);
    let recipients = to.all().iter().map(|to| to.email.clone()).collect();
    let envelope = Envelope::new(Some(from.email.clone()), recipients)
        .map_err(|error| EmailError::Write { error: error.to_string() })?;
    let addressed = Mail::builder().envelope(envelope).from(from.clone());
    let mut head = to
        .headers()
        .fold(addressed, MessageBuilder::raw_header)
        // A subject that looks encoded already would be shown as what it decodes to.
        .subject(words(&text::one_line(&told.subject, SUBJECT).replace("=?", "= ?")))
        // A date before 1970 cannot be written, and is wrong anyway.
        .date(message.sealed_at.max(Timestamp::UNIX_EPOCH).into())
        .message_id(Some(format!("<{}@{domain}>", message.id)))
        .in_reply_to(thread.clone())
        .references(thread);
    let host = label(hostname);
    for (name, value) in [
        // RFC 3834: made by a program, not an answer.
        ("Auto-Submitted", "auto-generated".to_owned()),
        // Exchange: no answers by absent people and no receipts. Not `All`, since reports of failure are wanted.
        ("X-Auto-Response-Suppress", "OOF, AutoReply, RN, NRN, DR".to_owned()),
        ("List-Id", format!("Docker events on {} <events.{host}.{domain}>", phrase(hostname))),
        ("X-Dockbell-Route", words(&text::one_line(&message.route, NAME))),
        ("X-Dockbell-Phase", message.phase.name().to_owned()),
        ("X-Dockbell-Events", message.total.to_string()),
    ] {
        head = head.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    if told.field("severity") == Some("error") {
        head = head.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Importance"), "high".to_owned()));
    }
    Ok(head.header(MIME_VERSION_1_0))
}

/// What all mails of a group refer to, so that a mail program shows them as one conversation. No mail has this id; programs
/// make a place for it (RFC 5256, threading by references).
fn thread(message: &Message, domain: &str) -> String {
    let key = [message.route.as_bytes(), b"\0", message.group.as_bytes()].concat();
    format!("<t.{:032x}@{domain}>", xxh3_128(&key))
}

/// A line for a header: one space between words. lettre encodes words that are not ASCII one by one and leaves more spaces
/// between them as they are, which a reader must drop (RFC 2047 section 6.2): the words would stick together. And where it
/// folds a long line within a run of spaces, one of them is lost.
fn words(line: &str) -> String {
    line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A host name as part of a list's id: letters, digits and hyphens.
fn label(hostname: &str) -> String {
    let label: String = hostname
        .chars()
        .take(63)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let label = label.trim_matches('-');
    if label.is_empty() { "host".to_owned() } else { label.to_owned() }
}

/// A host name within the describing words of a list's id, without what would end them.
fn phrase(hostname: &str) -> String {
    words(&text::one_line(hostname, NAME).replace(['<', '>', '"', '\\', '(', ')', ','], " ").replace("=?", "= ?"))
}
