//! What a mail looks like: its header, its forms, and that nobody can smuggle anything into it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use dockbell::config::SinkConfig;
use dockbell::deliver::{Sealed, Sink};
use dockbell::message::{Message, Phase};
use dockbell_tests::deliver::{HOST, email, form, message, sink, text_message};
use dockbell_tests::smtp::ScriptedSmtp;
use mailparse::{MailHeaderMap, ParsedMail, parse_mail};
use proptest::prelude::*;

fn seal(message: &Message) -> Sealed {
    sink(&email(25)).seal(message).unwrap()
}

fn headers(mail: &ParsedMail<'_>) -> Vec<(String, String)> {
    mail.headers.iter().map(|header| (header.get_key(), header.get_value())).collect()
}

#[test]
fn the_header_is_complete_and_in_order() {
    let sealed = seal(&message(1, "[host-1] web: crashed"));
    let mail = parse_mail(&sealed.bytes).unwrap();
    let root = mail.headers.get_first_value("References").unwrap();
    let expected = [
        ("From", "dockbell <dockbell@example.com>"),
        ("To", "ops@example.com"),
        ("Subject", "[host-1] web: crashed"),
        ("Date", "Sun, 22 Nov 2026 12:00:00 +0000"),
        ("Message-ID", "<01J80000000000000000000001@example.com>"),
        ("In-Reply-To", &root),
        ("References", &root),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply, RN, NRN, DR"),
        ("List-Id", "Docker events on host-1 <events.host-1.example.com>"),
        ("X-Dockbell-Route", "default"),
        ("X-Dockbell-Phase", "first"),
        ("X-Dockbell-Events", "3"),
        ("Importance", "high"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "multipart/alternative; boundary=\"=_01J80000000000000000000001-a\""),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(headers(&mail), expected);
}

#[test]
fn the_same_message_is_the_same_mail_whenever_it_is_written() {
    let mut message = message(1, "web died: ünïcode 🐳");
    message.notification.alternatives.push(form("application/json", "{\"a\":1}"));
    assert_eq!(seal(&message), seal(&message.clone()));
}

#[test]
fn text_comes_before_html_and_other_forms_are_attached() {
    let mut message = message(1, "web died");
    message.notification.alternatives.insert(0, form("application/json", "{\"events\": [1]}\n"));
    let sealed = seal(&message);
    let mail = parse_mail(&sealed.bytes).unwrap();
    assert_eq!(mail.ctype.mimetype, "multipart/mixed");
    let [told, attached] = &mail.subparts[..] else { panic!("two parts") };
    assert_eq!(told.ctype.mimetype, "multipart/alternative");
    let kinds: Vec<_> = told.subparts.iter().map(|part| part.ctype.mimetype.as_str()).collect();
    assert_eq!(kinds, ["text/plain", "text/html"]);
    for part in &told.subparts {
        assert_eq!(part.ctype.charset, "utf-8");
        assert_eq!(part.headers.get_first_value("Content-Transfer-Encoding").unwrap(), "quoted-printable");
    }
    assert_eq!(told.subparts[0].get_body().unwrap().trim_end(), "web died\r\nexit code 137");
    assert_eq!(told.subparts[1].get_body().unwrap().trim_end(), "<p>web died</p>");
    assert_eq!(attached.ctype.mimetype, "application/json");
    assert_eq!(attached.get_content_disposition().params["filename"], "events.json");
    assert_eq!(attached.get_body_raw().unwrap(), b"{\"events\": [1]}\n");
}

#[test]
fn a_text_that_knows_the_boundary_ends_no_part() {
    for end in ["", "--"] {
        let mut message = message(1, "web died");
        let boundary = "=_01J80000000000000000000001-a";
        let text = format!("before\n--{boundary}{end}\nBcc: evil@example.com\n\nafter");
        message.notification.alternatives[0].content.clone_from(&text);
        let sealed = seal(&message);
        let mail = parse_mail(&sealed.bytes).unwrap();
        assert_eq!(mail.ctype.params["boundary"], boundary);
        assert_eq!(mail.subparts.len(), 2);
        assert_eq!(mail.subparts[0].get_body().unwrap().replace("\r\n", "\n").trim_end(), text);
    }
}

#[test]
fn a_message_with_text_alone_is_a_plain_mail() {
    let sealed = seal(&text_message(1, "web died", "web died\n"));
    let mail = parse_mail(&sealed.bytes).unwrap();
    assert_eq!(mail.ctype.mimetype, "text/plain");
    assert_eq!(mail.get_body().unwrap(), "web died\r\n");
    assert_eq!(sealed.plainer, None);
}

#[test]
fn mails_of_a_group_refer_to_one_root_and_those_of_another_do_not() {
    let root =
        |message: &Message| parse_mail(&seal(message).bytes).unwrap().headers.get_first_value("References").unwrap();
    let first = message(1, "web died");
    let mut digest = message(2, "3 more");
    digest.phase = Phase::Digest;
    assert_eq!(root(&first), root(&digest));
    digest.group = "shop/db".to_owned();
    assert_ne!(root(&first), root(&digest));
    let (mut ab, mut a_b) = (message(3, "x"), message(3, "x"));
    (ab.route, ab.group) = ("ab".into(), "c".to_owned());
    (a_b.route, a_b.group) = ("a".into(), "bc".to_owned());
    assert_ne!(root(&ab), root(&a_b));
}

#[test]
fn only_an_error_is_important() {
    for (severity, important) in [("error", true), ("warning", false), ("high", false)] {
        let mut message = message(1, "web died");
        message.notification.fields = vec![("severity".to_owned(), severity.to_owned())];
        let sealed = seal(&message);
        let found = parse_mail(&sealed.bytes).unwrap().headers.get_first_value("Importance");
        assert_eq!(found.is_some(), important, "{severity}");
    }
}

#[test]
fn a_subject_of_any_script_arrives() {
    for subject in ["Füße 🐳 クジラ", &"ä".repeat(440), "a \"quoted\" <b@c.example>, d"] {
        let sealed = seal(&message(1, subject));
        let mail = parse_mail(&sealed.bytes).unwrap();
        assert_eq!(mail.headers.get_first_value("Subject").unwrap(), subject);
    }
}

#[test]
fn one_space_is_between_words_however_many_there_were() {
    let folded = format!("{}  end", "x".repeat(60));
    let long = format!("{} end", "x".repeat(60));
    for (subject, shown) in [
        ("Füße  Füße", "Füße Füße"),
        ("größe a   b \t 🐳 ", "größe a b 🐳"),
        ("a   b", "a b"),
        (folded.as_str(), long.as_str()),
    ] {
        let mut message = message(1, subject);
        message.route = subject.into();
        let sealed = seal(&message);
        let mail = parse_mail(&sealed.bytes).unwrap();
        for header in ["Subject", "X-Dockbell-Route"] {
            assert_eq!(mail.headers.get_first_value(header).unwrap(), shown);
        }
    }
}

#[test]
fn a_subject_that_looks_encoded_is_shown_as_it_is() {
    let sealed = seal(&message(1, "=?utf-8?b?QmNjOiBldmls?="));
    let subject = parse_mail(&sealed.bytes).unwrap().headers.get_first_value("Subject").unwrap();
    assert_eq!(subject, "= ?utf-8?b?QmNjOiBldmls?=");
}

#[test]
fn a_huge_message_is_cut_and_says_so() {
    let mut message = text_message(1, "a long digest", &"väry long line of a log = yes\n".repeat(100_000));
    message.notification.alternatives.push(form("text/html", &"<p>x</p>".repeat(200_000)));
    message.notification.alternatives.push(form("application/json", &format!("[{}0]", "1,".repeat(200_000))));
    let sealed = seal(&message);
    assert!(sealed.bytes.len() <= 1 << 20, "{}", sealed.bytes.len());
    let mail = parse_mail(&sealed.bytes).unwrap();
    let text = mail.get_body().unwrap();
    assert!(text.starts_with("väry long line"));
    assert!(text.contains("[cut here: ") && text.contains(" bytes are shown]\r\n"));
    assert!(text.contains("[text/html left out: 1600000 bytes]"));
    assert!(text.trim_end().ends_with("[application/json left out: 400003 bytes]"), "{}", &text[text.len() - 200..]);
    assert!(sealed.plainer.unwrap().len() < 100_000);
}

#[tokio::test]
async fn unusual_lines_arrive_as_they_were() {
    let text = format!(".\n..\n.x\nFrom me\n{}\ntrailing   \n\ttab\t\n=3D = é 🐳\n--b-x\nlast", "y".repeat(5_000));
    let server = ScriptedSmtp::start().await;
    for (number, message) in [text_message(1, "x", &text), {
        let mut both = text_message(2, "x", &text);
        both.notification.alternatives.push(form("text/html", &text));
        both
    }]
    .iter()
    .enumerate()
    {
        let mut sink = sink(&email(server.port()));
        let sealed = sink.seal(message).unwrap();
        assert_eq!(sink.deliver(&sealed).await.accepted.len(), 1);
        let mail = server.wait_for(number + 1).await.remove(number);
        assert_eq!(mail.bytes, sealed.bytes, "byte for byte");
        let mail = parse_mail(&mail.bytes).unwrap();
        for part in if mail.subparts.is_empty() { vec![&mail] } else { mail.subparts.iter().collect() } {
            assert_eq!(part.get_body().unwrap().replace("\r\n", "\n").trim_end_matches('\n'), text);
        }
    }
}

#[test]
fn a_clock_that_is_wrong_by_millennia_still_makes_a_mail() {
    for (time, date) in [
        (jiff::Timestamp::MIN, "Thu, 01 Jan 1970 00:00:00 +0000"),
        (jiff::Timestamp::MAX, "Thu, 30 Dec 9999 22:00:00 +0000"),
    ] {
        let mut message = message(1, "x");
        message.sealed_at = time;
        let sealed = seal(&message);
        assert_eq!(parse_mail(&sealed.bytes).unwrap().headers.get_first_value("Date").unwrap(), date);
    }
}

#[test]
fn carriage_returns_and_controls_of_a_log_do_not_arrive() {
    let sealed = seal(&text_message(1, "x", "a\rb\r\nc\x1b[31m\x00d\u{202e}"));
    let text = parse_mail(&sealed.bytes).unwrap().get_body().unwrap();
    assert_eq!(text, "a\r\nb\r\nc\u{fffd}[31m\u{fffd}d\u{fffd}\r\n");
}

/// Strings with what ends headers, commands, mails and encodings in them.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,12}",
        any::<String>(),
        "[a-z ]{0,1200}",
        prop::sample::select(vec![
            "\r\nBcc: evil@example.com",
            "\n.\n",
            "\r\n.\r\nMAIL FROM:<e@example.com>\r\n",
            "\r\n\r\n<b>",
            "=?utf-8?q?x?=",
            "\0",
            "\r",
            "\u{2028}",
            "\u{85}",
            "\"",
            "<>",
            "--=_01J80000000000000000000001-a--",
            "\u{202e}",
            "@",
            "\\",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn nothing_that_a_container_or_a_plugin_says_adds_a_header_or_breaks_a_line(
        subject in hostile(), route in hostile(), group in hostile(), host in hostile(), text in hostile(),
        html in hostile(), kind in hostile(), name in hostile(), severity in hostile(),
    ) {
        let mut message = text_message(1, &subject, &text);
        message.route = route.into();
        message.group = group;
        message.notification.fields = vec![("severity".to_owned(), severity)];
        message.notification.alternatives.push(form("text/html", &html));
        message.notification.alternatives.push(form(&kind, &text));
        let mut config = email(25);
        config.from = format!("{name} <dockbell@example.com>");
        // A name that cannot be read as one is refused at the start.
        let Ok(sink) = Sink::open("ops", &SinkConfig::Email(config), &host, None)
            .or_else(|_| Sink::open("ops", &SinkConfig::Email(email(25)), &host, None))
        else {
            panic!("no host name can prevent a start");
        };
        let sealed = sink.seal(&message).unwrap();
        for bytes in [Some(&sealed.bytes), sealed.plainer.as_ref()].into_iter().flatten() {
            prop_assert!(bytes.is_ascii());
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\r\n");
                prop_assert!(line.is_some_and(|line| line.len() <= 998 && !line.contains(&b'\r') && !line.contains(&0)));
            }
            let mail = parse_mail(bytes).unwrap();
            let names: Vec<_> = headers(&mail).into_iter().map(|(name, _)| name).filter(|name| name != "Content-Transfer-Encoding").collect();
            let expected = [
                "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
                "X-Auto-Response-Suppress", "List-Id", "X-Dockbell-Route", "X-Dockbell-Phase", "X-Dockbell-Events",
                "MIME-Version", "Content-Type",
            ];
            prop_assert_eq!(names.iter().filter(|name| *name != "Importance").collect::<Vec<_>>(), expected);
            for (name, value) in headers(&mail) {
                prop_assert!(!value.chars().any(|c| c.is_control() && c != '\t'), "{}: {:?}", name, value);
            }
        }
    }
}

#[test]
fn the_host_of_the_tests_is_in_the_list_id() {
    let sealed = seal(&message(1, "x"));
    let list = parse_mail(&sealed.bytes).unwrap().headers.get_first_value("List-Id").unwrap();
    assert!(list.contains(HOST));
}
