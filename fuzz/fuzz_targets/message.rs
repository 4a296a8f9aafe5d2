//! Whatever a plugin makes, every sink writes it within its limits, in time proportional to its size, and always the same.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use dockbell::config::{
    EmailConfig, FileConfig, NotifyConfig, Output, Secret, SinkConfig, SmtpServer, SmtpTls, Template, WebhookConfig,
};
use dockbell::deliver::email::Email;
use dockbell::deliver::{Sealed, Sink, Stdout};
use dockbell::message::{Alternative, Message, Notification, Phase};
use libfuzzer_sys::fuzz_target;
use rustix::time::{ClockId, clock_gettime};

/// Most bytes that an input stands for.
const TOTAL: usize = 512 << 10;
/// Largest mail, longest line of one.
const MAIL: usize = 1 << 20;
const LINE: usize = 998;
/// Most CPU time of two sinks, each of which writes the message twice. What is in proportion to its size takes far less of it; what
/// is not takes more.
const CPU: Duration = Duration::from_secs(3);

// Records with NUL between them: what it is, how often the piece is repeated, the piece. Of a form and a field the piece is
// behind its name and `\x01`. See `seeds/message`.
fuzz_target!(|input: &[u8]| {
    let begun = cpu();
    let (message, recipients) = read(input);
    // One of the others for each input: all of them would make it twenty times slower.
    let sum: usize = input.iter().map(|byte| usize::from(*byte)).sum();
    let sink = &SINKS[sum % SINKS.len()];
    (sink.judge)(&write(&sink.sink, &message));
    let email = write(&Sink::Email(Box::new(mail_to(recipients))), &message);
    assert_eq!(email.pending.len(), recipients);
    [Some(&email.bytes), email.plainer.as_ref()].into_iter().flatten().for_each(|mail| is_mail(mail));
    let spent = cpu() - begun;
    assert!(spent < CPU, "{spent:?} of CPU time");
});

/// The form that a sink gives a message, which is always the same.
fn write(sink: &Sink, message: &Message) -> Sealed {
    let sealed = sink.seal(message).unwrap();
    assert_eq!(sealed, sink.seal(message).unwrap());
    sealed
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// A message, and to how many it goes.
fn read(input: &[u8]) -> (Message, usize) {
    let mut made = Notification { subject: String::new(), alternatives: Vec::new(), fields: Vec::new() };
    let (mut room, mut recipients, mut last) = (TOTAL, 1, b't');
    for record in input.split(|byte| *byte == 0) {
        let [kind, times, piece @ ..] = record else { continue };
        let times = 1_usize << char::from(*times).to_digit(36).unwrap_or(0).min(18);
        let piece = String::from_utf8_lossy(piece);
        let (name, piece) = piece.split_once('\u{1}').unwrap_or(("", &piece));
        let content = piece.repeat(times.min(room / piece.len().max(1)));
        room -= content.len();
        let form = |media_type: &str| Alternative { media_type: media_type.to_owned(), content: content.clone() };
        match kind {
            b's' => made.subject.push_str(&content),
            b't' => made.alternatives.push(form("text/plain")),
            b'h' => made.alternatives.push(form("text/html")),
            b'j' => made.alternatives.push(form("application/json")),
            b'm' => made.alternatives.push(form("text/markdown")),
            b'o' => made.alternatives.push(form(name)),
            b'f' => made.fields.push((name.to_owned(), content)),
            b'r' => recipients = times.min(1000),
            // The last form or field so often again.
            b'+' if last == b'f' => again(&mut made.fields, times, &mut room, |(name, value)| name.len() + value.len()),
            b'+' => again(&mut made.alternatives, times, &mut room, |form| form.media_type.len() + form.content.len()),
            _ => continue,
        }
        if *kind != b'+' {
            last = *kind;
        }
    }
    let message = Message {
        id: ulid::Ulid::from(1_u128),
        route: "all".into(),
        group: String::new(),
        phase: Phase::First,
        sealed_at: jiff::Timestamp::UNIX_EPOCH,
        total: 1,
        notification: made,
    };
    (message, recipients)
}

fn again<T: Clone>(all: &mut Vec<T>, times: usize, room: &mut usize, size: impl Fn(&T) -> usize) {
    let Some(last) = all.last().cloned() else { return };
    let times = times.min(*room / (size(&last) + 8));
    *room -= times * (size(&last) + 8);
    all.extend(std::iter::repeat_n(last, times));
}

struct Judged {
    sink: Sink,
    judge: Box<dyn Fn(&Sealed) + Send + Sync>,
}

static SINKS: LazyLock<Vec<Judged>> = LazyLock::new(|| {
    let open = |config: SinkConfig| Sink::open("any", &config, "host-1", None).unwrap();
    let mut sinks = Vec::new();
    let mut add = |sink, judge: Box<dyn Fn(&Sealed) + Send + Sync>| sinks.push(Judged { sink, judge });
    for (url, most, escapes) in [
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", 4096, true),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", 2000, false),
        ("ntfys://ntfy.example.com/alerts", 4096, false),
        ("gotifys://gotify.example.com/Ab.c1234567890d", 30_000, false),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", 3000, false),
        ("gchat://workspace/key/token", 4096, false),
        ("workflows://teams.example.com:443/643e8cc5c1b64a9d8dd7e1a1a0a0a0a0/iEjtuYm7RvXk8wJ9ZzX2/", 10_000, false),
        ("pover://uzXK1jdhE1gnmBX9oFpQBvbGUXVvLF@azGDORePK8gMaC0QOYAMyEEuzJnyUi", 1024, false),
        ("wecombot://abc", 2048, false),
    ] {
        let config = NotifyConfig::new(url).unwrap();
        let judge = move |sealed: &Sealed| fits(sealed, url, most, escapes);
        add(open(SinkConfig::Notify(Box::new(config))), Box::new(judge));
    }
    let webhook = WebhookConfig::new(Secret::text("https://example.com/hook"));
    let template =
        Template::new(r#"{"text": {{ text }}, "s": {{ subject }}, "f": {{ fields.severity }}}"#.to_owned(), true);
    let templated = WebhookConfig { template: Some(template.unwrap()), ..webhook.clone() };
    add(open(SinkConfig::Webhook(Box::new(webhook))), Box::new(|sealed| is_json(&sealed.bytes)));
    add(open(SinkConfig::Webhook(Box::new(templated))), Box::new(|sealed| is_json(&sealed.bytes)));
    add(open(SinkConfig::File(FileConfig { path: "/nowhere/messages".into() })), Box::new(is_line));
    let terminal = |output| Sink::Stdout(Stdout::to(output, false, tokio::io::sink()));
    add(terminal(Output::Json), Box::new(is_line));
    add(terminal(Output::Text), Box::new(steers_nothing));
    sinks
});

/// One line of JSON, with its end.
fn is_line(sealed: &Sealed) {
    let line = sealed.bytes.strip_suffix(b"\n").expect("a line");
    assert!(!line.contains(&b'\n'));
    is_json(line);
}

fn is_json(bytes: &[u8]) {
    serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
}

fn steers_nothing(sealed: &Sealed) {
    let text = std::str::from_utf8(&sealed.bytes).unwrap();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
}

/// A text for a service, with its title, in UTF-16 code units as far as it is read.
fn fits(sealed: &Sealed, service: &str, most: usize, escapes: bool) {
    let text: serde_json::Value = serde_json::from_slice(&sealed.bytes).unwrap();
    let part = |key: &str| text[key].as_str().unwrap().to_owned();
    let mut shown = part("title") + &part("body");
    if escapes {
        shown = shown.replace("<b>", "").replace("</b>", "");
        shown = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    }
    let length = shown.encode_utf16().count();
    assert!(length <= most, "{service}: {length} of {most}");
    if service.starts_with("discord") || service.starts_with("gchat") {
        let calls = ["@everyone", "@here", "<@!", "<@&", "<users/"];
        let called = calls.iter().any(|call| shown.contains(call));
        let named = shown.split("<@").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        assert!(!called && !named, "{service}: {shown:?}");
    }
}

fn mail_to(recipients: usize) -> Email {
    let server =
        SmtpServer { host: "127.0.0.1".to_owned(), port: 25, tls: SmtpTls::None, login: None, ca: None, ehlo: None };
    let to = (0..recipients).map(|number| format!("Somebody <somebody-{number}@example.com>")).collect();
    Email::open("ops", &EmailConfig { server, from: "a@example.com".to_owned(), to, rate: None }, "host-1").unwrap()
}

fn is_mail(mail: &[u8]) {
    assert!(mail.is_ascii() && mail.len() <= MAIL, "{} bytes", mail.len());
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r\n").expect("a line ends with CR and LF");
        assert!(line.len() <= LINE && !line.contains(&b'\r') && !line.contains(&0), "{}", line.escape_ascii());
    }
    mailparse::parse_mail(mail).unwrap();
}
