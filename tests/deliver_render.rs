//! What is done with the output of a plugin: it costs time in proportion to its size, and stays within the limits of each
//! sink, whatever the plugin made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dockbell::config::{EmailConfig, FileConfig, NotifyConfig, Output, SinkConfig, StdoutConfig};
use dockbell::deliver::{Sink, Sinks};
use dockbell::message::Message;
use dockbell_tests::deliver::{HOST, email, form, hook, message, sink, text_message, webhook_to};
use mailparse::{MailHeaderMap, parse_mail};
use rustix::time::{ClockId, clock_gettime};

/// Most bytes of a mail, as documented.
const MAIL: usize = 1 << 20;

/// Every kind of sink, and every service whose messages have a shape of their own.
fn sinks() -> Vec<(&'static str, Sink)> {
    let services = [
        ("slack", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"),
        ("discord", "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"),
        ("telegram", "tgram://123456789:abcdefg_hijklmnop/12315544/"),
        ("workflows", "workflows://teams.example.com:443/643e8cc5c1b64a9d8dd7e1a1a0a0a0a0/iEjtuYm7RvXk8wJ9ZzX2/"),
        ("gotify", "gotifys://gotify.example.com/Ab.c1234567890d"),
    ];
    let open = |config: SinkConfig| Sink::open("any", &config, HOST, None).unwrap();
    let mut sinks: Vec<_> =
        services.map(|(name, url)| (name, open(SinkConfig::Notify(Box::new(NotifyConfig::new(url).unwrap()))))).into();
    sinks.push(("email", sink(&email(25))));
    sinks.push(("webhook", hook(&webhook_to("https://example.com/hook"))));
    sinks.push(("file", open(SinkConfig::File(FileConfig { path: "/nowhere/messages".into() }))));
    for output in [Output::Text, Output::Json] {
        sinks.push(("stdout", open(SinkConfig::Stdout(StdoutConfig { output }))));
    }
    sinks
}

/// A message whose text and HTML are each of so many bytes of this piece.
fn made_of(piece: &str, bytes: usize) -> Message {
    let content = piece.repeat(bytes / piece.len());
    let mut message = text_message(1, "trouble", &format!("a{content}b"));
    message.notification.alternatives.push(form("text/html", &format!("a{content}b")));
    message
}

/// The time that this thread spent on something.
fn cpu<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let begun = now();
    let done = work();
    (now() - begun, done)
}

/// The least of three, since a neighbour on the machine makes each dearer.
fn cost(work: impl Fn()) -> Duration {
    (0..3).map(|_| cpu(&work).0).min().unwrap()
}

/// Four times as much takes four times as long, and sixteen times where it is not in proportion.
fn is_in_proportion(what: &str, work: impl Fn(usize)) {
    let (once, four_times) = (cost(|| work(1)), cost(|| work(4)));
    let most = once * 9 + Duration::from_millis(20);
    assert!(four_times <= most, "{what}: {once:?}, and for four times as much {four_times:?}");
}

fn assert_is_a_mail_within_the_limits(mail: &[u8]) {
    assert!(mail.len() <= MAIL, "{} bytes", mail.len());
    let longest = mail.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
    assert!(longest <= 999, "a line of {longest} bytes with its CR");
    parse_mail(mail).unwrap();
}

#[test]
fn no_text_costs_more_than_in_proportion_to_its_length() {
    let shapes = ["\n", "\r\n", "x", "@", "&", "🦀"];
    let of_mails = [" \n", "a b ", "\t", "=", "ä", "\u{200b}", "\x1b[1m"];
    for (name, sink) in sinks() {
        let more = if name == "email" { &of_mails[..] } else { &[] };
        for piece in shapes.iter().chain(more) {
            is_in_proportion(&format!("{piece:?} in {name}"), |times| drop(sink.seal(&made_of(piece, times * 32_000))));
        }
    }
}

#[test]
fn neither_forms_nor_fields_cost_more_than_in_proportion_to_their_number() {
    for (name, sink) in sinks() {
        is_in_proportion(&format!("forms in {name}"), |times| {
            let mut message = text_message(1, "trouble", "text");
            message.notification.alternatives.extend((0..times * 10_000).map(|_| form("text/x", "y")));
            drop(sink.seal(&message));
        });
        is_in_proportion(&format!("fields in {name}"), |times| {
            let mut message = text_message(1, "trouble", "text");
            message.notification.fields.extend((0..times * 10_000).map(|number| (number.to_string(), "y".to_owned())));
            drop(sink.seal(&message));
        });
    }
}

#[test]
fn line_breaks_alone_cost_a_mail_no_more_than_other_text() {
    let sink = sink(&email(25));
    let words = made_of("some words ", 250_000);
    let mut breaks = text_message(1, "trouble", &format!("a{}b", "\n".repeat(250_000)));
    breaks.notification.alternatives.push(form("text/html", &format!("a{}b", "\n".repeat(240_000))));
    let (of_words, of_breaks) = (cost(|| drop(sink.seal(&words))), cost(|| drop(sink.seal(&breaks))));
    println!("{of_words:?} for words, {of_breaks:?} for line breaks");
    assert!(of_breaks <= of_words * 5 + Duration::from_millis(20), "{of_breaks:?}, and {of_words:?} for words");
    assert_is_a_mail_within_the_limits(&sink.seal(&breaks).unwrap().bytes);
}

/// The test has one thread: work that is done on it lets nothing else run.
#[tokio::test]
async fn everything_else_goes_on_while_what_a_plugin_made_is_rendered() {
    let sinks = Sinks::new([("ops".to_owned(), sink(&email(25)))]);
    let mut large = text_message(1, "trouble", &format!("a{}b", "\n".repeat(250_000)));
    large.notification.alternatives.push(form("text/html", &format!("a{}b", "\n".repeat(240_000))));
    let messages: Arc<[Message]> = std::iter::repeat_n(large, 16).collect();
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let others = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(sinks.seal("ops", &messages, None).await.len(), 16);
    assert!(turns.load(Ordering::Relaxed) > 100, "{turns:?}");
    others.abort();
}

#[test]
fn a_mail_is_within_its_limit_with_all_that_it_says_was_left_out() {
    let sink = sink(&email(25));
    let mut message = text_message(1, &"ä".repeat(450), &"ä\n".repeat(400_000));
    message.notification.alternatives.extend((0..300_000).map(|_| form("text/x-something-long", "y")));
    let (cost, sealed) = cpu(|| sink.seal(&message).unwrap());
    println!("{cost:?} for 300,000 forms, {} bytes", sealed.bytes.len());
    for mail in [Some(&sealed.bytes), sealed.plainer.as_ref()].into_iter().flatten() {
        assert_is_a_mail_within_the_limits(mail);
    }
    let mail = parse_mail(&sealed.bytes).unwrap();
    assert_eq!(mail.subparts.len(), 33, "the text and 32 forms");
    let text = mail.subparts[0].subparts[0].get_body().unwrap();
    assert_eq!(text.matches("[text/x-something-long left out: 1 bytes]").count(), 8);
    assert!(text.trim_end().ends_with("[299960 more forms left out]"), "{}", &text[text.len() - 200..]);
    assert!(text.contains(" bytes are shown]"));
}

#[test]
fn a_text_of_very_many_lines_is_cut_and_says_so() {
    let text: String = (0..30_000).map(|number| format!("{number}\n")).collect();
    let sealed = sink(&email(25)).seal(&text_message(1, "trouble", &text)).unwrap();
    let shown = parse_mail(&sealed.bytes).unwrap().get_body().unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[19_999], "19999");
    assert_eq!(&lines[20_000..], ["", &format!("[cut here: 108889 of {} bytes are shown]", text.len())]);
}

#[test]
fn any_number_of_recipients_makes_a_header_that_servers_take() {
    for (count, shown) in [(1, 1), (42, 42), (50, 50), (51, 50), (500, 50)] {
        let to: Vec<String> = (0..count).map(|number| format!("somebody-{number:03}@example.com")).collect();
        // Each is listed twice.
        let config = EmailConfig { to: [to.clone(), to.clone()].concat(), ..email(25) };
        let sealed = sink(&config).seal(&message(1, "web died")).unwrap();
        assert_eq!(sealed.pending.iter().map(|to| to.to_string()).collect::<Vec<_>>(), to, "all get it, once");
        assert_is_a_mail_within_the_limits(&sealed.bytes);
        let mail = parse_mail(&sealed.bytes).unwrap();
        let named = mailparse::addrparse_header(mail.headers.get_first_header("To").unwrap()).unwrap();
        assert_eq!(named.count_addrs(), shown);
        let told = mail.headers.get_first_value("X-Dockbell-Recipients");
        let said = format!("{count}, of whom {} are not named in To", count - shown);
        assert_eq!(told, (count > shown).then_some(said));
    }
}

#[test]
fn two_names_that_differ_look_different_in_every_form_of_a_mail() {
    let mail = |name: &str| {
        let mut message = text_message(1, &format!("{name} died"), &format!("{name} died, exit 137\n"));
        message.notification.alternatives.push(form("text/html", &format!("<p>{name} died</p>")));
        let sealed = sink(&email(25)).seal(&message).unwrap();
        let mail = parse_mail(&sealed.bytes).unwrap();
        let mut seen = vec![mail.headers.get_first_value("Subject").unwrap()];
        seen.extend(mail.subparts.iter().map(|part| part.get_body().unwrap()));
        seen
    };
    let plain = mail("web");
    for hidden in
        ["we\u{200b}b", "we\u{200d}b", "web\u{fe0f}", "w\u{ad}eb", "web\u{e0041}", "web\u{3164}", "we\u{2060}b"]
    {
        for (of_plain, of_hidden) in plain.iter().zip(mail(hidden)) {
            assert_ne!(of_plain, &of_hidden);
            assert!(of_hidden.contains('\u{fffd}'), "{of_hidden:?}");
        }
    }
}
