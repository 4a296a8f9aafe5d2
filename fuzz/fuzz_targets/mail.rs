//! Whatever a container or a plugin says, the mail that tells it is a mail, has no header of theirs, and says the same.
#![no_main]

use arbitrary::Arbitrary;
use dockbell::config::{EmailConfig, SmtpServer, SmtpTls};
use dockbell::deliver::email::Email;
use dockbell::message::{Alternative, Message, Notification, Phase};
use dockbell::text;
use libfuzzer_sys::fuzz_target;
use mailparse::{ParsedMail, parse_mail};

/// Longest subject, longest line, largest mail.
const SUBJECT: usize = 900;
const LINE: usize = 998;
const MAIL: usize = 1 << 20;
/// A text of so many bytes is cut.
const TOO_LONG: usize = 600_000;
/// A text of so many bytes is never cut, unless it has more than 20,000 lines, for which an input is too short.
const SURELY_WHOLE: usize = 100_000;
/// So many forms are never left out.
const FORMS: usize = 32;
const HEADERS: [&str; 15] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "List-Id",
    "X-Dockbell-Route",
    "X-Dockbell-Phase",
    "X-Dockbell-Events",
    "MIME-Version",
    "Content-Type",
];

#[derive(Arbitrary, Debug)]
struct Input {
    subject: String,
    text: String,
    /// 255, with a `phase` of 255: `text` is repeated until it is too long for a mail. Rarely, since that is slow.
    times: u8,
    forms: Vec<(Kind, String)>,
    route: String,
    group: String,
    hostname: String,
    from: String,
    to: Vec<String>,
    severity: String,
    phase: u8,
    total: u32,
    id: u128,
    second: i64,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Html,
    Json,
    Markdown,
    Any(String),
}

fuzz_target!(|input: Input| {
    let message = message(&input);
    let sink = sink(&input);
    let sealed = sink.seal(&message).unwrap();
    assert_eq!(sealed, sink.seal(&message).unwrap(), "the same message is the same mail");
    for bytes in [Some(&sealed.bytes), sealed.plainer.as_ref()].into_iter().flatten() {
        assert!(bytes.is_ascii() && bytes.len() <= MAIL, "{} bytes", bytes.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r\n").expect("a line ends with CR and LF");
            assert!(line.len() <= LINE && !line.contains(&b'\r') && !line.contains(&0), "{}", line.escape_ascii());
        }
        let mail = parse_mail(bytes).unwrap();
        has_no_header_but_ours(&mail, &sink_subject(&input.subject));
    }
    says_the_same(&parse_mail(&sealed.bytes).unwrap(), &message);
});

fn message(input: &Input) -> Message {
    let media_type = |kind: &Kind| match kind {
        Kind::Html => "text/html".to_owned(),
        Kind::Json => "application/json".to_owned(),
        Kind::Markdown => "text/markdown".to_owned(),
        Kind::Any(kind) => kind.clone(),
    };
    let times = if (input.times, input.phase) == (255, 255) { TOO_LONG / input.text.len().max(1) + 1 } else { 1 };
    let text = Alternative { media_type: "text/plain".to_owned(), content: input.text.repeat(times) };
    let others = input.forms.iter();
    let others = others.map(|(kind, content)| Alternative { media_type: media_type(kind), content: content.clone() });
    Message {
        id: ulid::Ulid::from(input.id),
        route: input.route.as_str().into(),
        group: input.group.clone(),
        phase: [Phase::First, Phase::Digest, Phase::Closing][usize::from(input.phase % 3)],
        sealed_at: jiff::Timestamp::from_second(input.second).unwrap_or_default(),
        total: input.total,
        notification: Notification {
            subject: input.subject.clone(),
            alternatives: std::iter::once(text).chain(others).collect(),
            fields: vec![("severity".to_owned(), input.severity.clone())],
        },
    }
}

/// A sink with these names where they can be read as such.
fn sink(input: &Input) -> Email {
    let server =
        SmtpServer { host: "127.0.0.1".to_owned(), port: 25, tls: SmtpTls::None, login: None, ca: None, ehlo: None };
    let usual =
        EmailConfig { server, from: "a@example.com".to_owned(), to: vec!["b@example.com".to_owned()], rate: None };
    let from = format!("{} <a@example.com>", input.from);
    let config = EmailConfig { from, to: input.to.clone(), ..usual.clone() };
    Email::open("ops", &config, &input.hostname)
        .or_else(|_| Email::open("ops", &EmailConfig { to: usual.to.clone(), ..config }, &input.hostname))
        .or_else(|_| Email::open("ops", &usual, &input.hostname))
        .expect("no host name prevents a start")
}

fn has_no_header_but_ours(mail: &ParsedMail<'_>, subject: &str) {
    let names = mail.headers.iter().map(mailparse::MailHeader::get_key);
    let optional = ["Importance", "Content-Transfer-Encoding", "X-Dockbell-Recipients"];
    let names: Vec<String> = names.filter(|name| !optional.contains(&name.as_str())).collect();
    assert_eq!(names, HEADERS);
    for header in &mail.headers {
        let value = header.get_value();
        assert!(!value.chars().any(|c| c.is_control() && c != '\t'), "{value:?}");
        if header.get_key_ref() == "Subject" {
            assert_eq!(value, subject);
        }
    }
    let parts = mail.subparts.iter().chain(mail.subparts.iter().flat_map(|part| &part.subparts));
    let inner = ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"];
    for header in parts.flat_map(|part| &part.headers) {
        assert!(inner.contains(&&*header.get_key()), "{}", header.get_key());
    }
}

/// The subject as the documentation says: one line that is seen as it is, one space between words, cut, and never taken for an
/// encoded one.
fn sink_subject(subject: &str) -> String {
    let clean = text::one_line(subject, SUBJECT).replace("=?", "= ?");
    clean.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A text as the documentation says: line ends are `\n`, and every character is seen.
fn clean(text: &str) -> String {
    text::multi_line(text).trim_end_matches('\n').to_owned()
}

fn says_the_same(mail: &ParsedMail<'_>, message: &Message) {
    let forms = &message.notification.alternatives;
    if forms.len() > FORMS || forms.iter().map(|form| form.content.len()).sum::<usize>() > SURELY_WHOLE {
        return;
    }
    // Not `get_body`, which takes a byte order mark away.
    let decoded = |part: &ParsedMail<'_>| {
        let text = String::from_utf8(part.get_body_raw().unwrap()).unwrap();
        text.replace("\r\n", "\n").trim_end_matches('\n').to_owned()
    };
    let mut leaves = leaves(mail).into_iter();
    assert_eq!(decoded(leaves.next().unwrap()), clean(message.notification.text()));
    let mut others: Vec<&Alternative> = message.notification.alternatives.iter().collect();
    others.retain(|form| form.media_type != "text/plain");
    if let Some(html) = others.iter().position(|form| form.media_type == "text/html") {
        let part = leaves.next().unwrap();
        assert_eq!((part.ctype.mimetype.as_str(), decoded(part)), ("text/html", clean(&others.remove(html).content)));
    }
    // Attachments byte for byte.
    let attached: Vec<Vec<u8>> = leaves.map(|part| part.get_body_raw().unwrap()).collect();
    assert_eq!(attached, others.iter().map(|form| form.content.as_bytes()).collect::<Vec<_>>());
}

/// The parts that hold something, in their order.
fn leaves<'a, 'm>(mail: &'a ParsedMail<'m>) -> Vec<&'a ParsedMail<'m>> {
    if mail.subparts.is_empty() { vec![mail] } else { mail.subparts.iter().flat_map(leaves).collect() }
}
