//! What plugins say: the messages of formatters, which the host checks, and lines for the log, which it bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell::message::Notification;
use dockbell::plugin::{CallError, Filter, Formatter};
use dockbell_tests::guests::{Guest, batch, event, load, wasi_filter};
use tracing::subscriber::DefaultGuard;

async fn started(guest: &Guest) -> Formatter {
    let plugin = load(&guest.component(), |config| {
        config.memory = 256 << 20;
        config.timeout = Duration::from_secs(30);
    });
    Formatter::start(plugin.unwrap()).await.unwrap()
}

async fn answer(body: &str) -> Result<Vec<Notification>, CallError> {
    let mut guest = Guest::formatter();
    guest.format(body);
    started(&guest).await.format(&batch(1)).await
}

/// What becomes of a message with this subject.
async fn subject(bytes: &[u8]) -> Result<String, CallError> {
    let mut guest = Guest::formatter();
    let (subject, text) = (guest.bytes(bytes), guest.text("text"));
    guest.format(&format!("(call $message {subject} {text})"));
    let made = started(&guest).await.format(&batch(1)).await?;
    Ok(made.into_iter().next().unwrap().subject)
}

/// What becomes of a message with one more alternative of this media type.
async fn alternative(media_type: &str) -> Result<Vec<Notification>, CallError> {
    let mut guest = Guest::formatter();
    let (plain, other, text) = (guest.text("text/plain"), guest.text(media_type), guest.text("hello"));
    // Notification at 256, its two alternatives at 300.
    guest.field("(func $pair (param $at i32) (param $text i32) (param $len i32) (i32.store (local.get $at) (local.get $text)) (i32.store offset=4 (local.get $at) (local.get $len)))");
    guest.format(&format!(
        "(call $pair (i32.const 256) {text}) (call $pair (i32.const 264) (i32.const 300) (i32.const 2))
         (call $pair (i32.const 300) {plain}) (call $pair (i32.const 308) {text})
         (call $pair (i32.const 316) {other}) (call $pair (i32.const 324) {text})
         (call $list (i32.const 256) (i32.const 1))"
    ));
    started(&guest).await.format(&batch(1)).await
}

fn bad<T>(text: &str) -> Result<T, CallError> {
    Err(CallError::BadAnswer(text.to_owned()))
}

#[tokio::test]
async fn a_message_arrives_as_the_formatter_made_it() {
    let made = started(&Guest::formatter()).await.format(&batch(3)).await.unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!((&*made[0].subject, made[0].text()), ("hello", "world"));
}

#[tokio::test]
async fn no_message_is_no_answer() {
    assert_eq!(answer("(call $list (i32.const 0) (i32.const 0))").await, bad("it made no message"));
}

#[tokio::test]
async fn at_most_16_messages_are_taken() {
    // Zeros are notifications with nothing in them.
    let error = answer("(call $list (i32.const 120000) (i32.const 17))").await;
    assert_eq!(error, bad("it made 17 messages, at most 16 are allowed"));
    let error = answer("(drop (memory.grow (i32.const 100))) (call $list (i32.const 131072) (i32.const 200000))").await;
    assert_eq!(error, bad("it made 200000 messages, at most 16 are allowed"));
}

#[tokio::test]
async fn a_million_messages_or_100_mb_of_text_are_stopped_while_they_are_copied() {
    let million =
        answer("(drop (memory.grow (i32.const 400))) (call $list (i32.const 65536) (i32.const 1000000))").await;
    let mut guest = Guest::formatter();
    let subject = guest.text("large");
    guest.format(&format!(
        "(drop (memory.grow (i32.const 1600))) (call $message {subject} (i32.const 65536) (i32.const 100000000))"
    ));
    let large = started(&guest).await.format(&batch(1)).await;
    for error in [million, large] {
        assert_eq!(error, bad("it is more than the 16 MiB that a call may hand over"));
    }
}

#[tokio::test]
async fn a_subject_is_one_line_without_control_characters() {
    let injected = subject(b"trouble\r\nBcc: everyone@example.com\x1b[2J\0").await;
    assert_eq!(injected.unwrap(), "trouble  Bcc: everyone@example.com\u{fffd}[2J\u{fffd}");
    assert_eq!(subject("\u{85}\t trouble \n".as_bytes()).await.unwrap(), "trouble");
}

#[tokio::test]
async fn a_message_needs_a_subject() {
    for empty in ["", "  ", "\r\n\0\x07", "\u{200b}\u{202e}"] {
        assert_eq!(subject(empty.as_bytes()).await, bad("a message has no subject"), "{empty:?}");
    }
}

#[tokio::test]
async fn a_long_subject_is_cut_between_characters() {
    assert_eq!(subject("é".repeat(1000).as_bytes()).await.unwrap(), format!("{}…", "é".repeat(448)));
    assert_eq!(subject(format!("x{}", "é".repeat(1000)).as_bytes()).await.unwrap().len(), 900);
    let mut guest = Guest::formatter();
    let text = guest.text("text");
    guest.format(&format!(
        "(drop (memory.grow (i32.const 160))) (memory.fill (i32.const 65536) (i32.const 120) (i32.const 10000000))
         (call $message (i32.const 65536) (i32.const 10000000) {text})"
    ));
    let made = started(&guest).await.format(&batch(1)).await.unwrap();
    assert_eq!(made[0].subject, format!("{}…", "x".repeat(897)));
}

#[tokio::test]
async fn a_message_needs_a_plain_text() {
    let mut guest = Guest::formatter();
    let (media, subject, text) = (guest.text("text/html"), guest.text("hello"), guest.text("<p>hello"));
    let at = media.split("i32.const ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    guest.format(&format!(
        "(global.set $media (i32.const {at})) (global.set $media_len (i32.const 9)) (call $message {subject} {text})"
    ));
    let error = started(&guest).await.format(&batch(1)).await;
    assert_eq!(error, bad("a message has no `text/plain` form"));
}

#[tokio::test]
async fn a_message_has_at_most_32_forms_and_256_fields() {
    // The notification at 256: subject, forms, fields. Zeros in memory are empty pairs of strings.
    let with = |pages: u32, forms: u32, fields: u32| async move {
        let mut guest = Guest::formatter();
        let subject = guest.text("hello");
        guest.field("(func $pair (param $at i32) (param $text i32) (param $len i32) (i32.store (local.get $at) (local.get $text)) (i32.store offset=4 (local.get $at) (local.get $len)))");
        guest.format(&format!(
            "(drop (memory.grow (i32.const {pages})))
             (call $pair (i32.const 256) {subject}) (call $pair (i32.const 264) (i32.const 131072) (i32.const {forms}))
             (call $pair (i32.const 272) (i32.const 131072) (i32.const {fields}))
             (call $list (i32.const 256) (i32.const 1))"
        ));
        started(&guest).await.format(&batch(1)).await
    };
    assert_eq!(with(100, 300_000, 0).await, bad("a message has 300000 forms, at most 32 are allowed"));
    assert_eq!(with(100, 33, 0).await, bad("a message has 33 forms, at most 32 are allowed"));
    assert_eq!(with(100, 1, 257).await, bad("a message has 257 fields, at most 256 are allowed"));
    // So many are taken; what else is wrong is found.
    assert_eq!(with(100, 32, 256).await, bad("a message has no `text/plain` form"));
}

#[tokio::test]
async fn a_media_type_cannot_smuggle_a_header() {
    for good in ["text/html", "application/vnd.slack+json"] {
        assert_eq!(alternative(good).await.unwrap()[0].alternative(good), Some("hello"));
    }
    for (wrong, shown) in [
        ("text/html\r\nBcc: everyone@example.com", "text/html  Bcc: everyone@example.com"),
        ("html", "html"),
        ("text/", "text/"),
        ("text/html; charset=utf-16", "text/html; charset=utf-16"),
        ("", ""),
    ] {
        assert_eq!(alternative(wrong).await, bad(&format!("`{shown}` is not a media type")), "{wrong:?}");
    }
}

#[tokio::test]
async fn what_is_not_utf_8_or_not_in_memory_costs_one_call() {
    let mut guest = Guest::formatter();
    let (good, broken) = (guest.text("good"), guest.bytes(b"caf\xe9"));
    guest.format(&format!(
        "(if (i32.eq (local.get $total) (i32.const 1)) (then (return (call $message {broken} {good}))))
         (if (i32.eq (local.get $total) (i32.const 2)) (then (return (call $error {broken}))))
         (if (i32.eq (local.get $total) (i32.const 3)) (then
           (return (call $message {good} (i32.const 0x7fff0000) (i32.const 9)))))
         (if (i32.eq (local.get $total) (i32.const 4)) (then (return (i32.const 0x7fff0000))))
         (if (i32.eq (local.get $total) (i32.const 5)) (then
           (drop (call $answer (i32.const 1))) (i32.store8 (i32.const 16) (i32.const 7)) (return (i32.const 16))))
         (call $message {good} {good})"
    ));
    let mut formatter = started(&guest).await;
    for (call, reason) in [(1, "utf-8"), (2, "utf-8"), (3, "bounds"), (4, "bounds"), (5, "discriminant")] {
        let error = formatter.format(&batch(call)).await.unwrap_err().to_string();
        assert!(error.starts_with("it trapped: ") && error.contains(reason), "{call}: {error}");
        assert_eq!(formatter.format(&batch(9)).await.unwrap()[0].subject, "good");
    }
}

#[tokio::test]
async fn an_error_of_a_plugin_is_shown_as_one_bounded_line() {
    let mut guest = Guest::formatter();
    let why = guest.text(&format!("no template\nhint: forged\r{}", "x".repeat(10_000)));
    guest.format(&format!("(call $error {why})"));
    let error = started(&guest).await.format(&batch(1)).await.unwrap_err().to_string();
    assert!(error.starts_with("it answered with an error: no template hint: forged xxx"), "{error}");
    assert!(error.len() < 1100 && !error.contains('\n'), "{error}");
}

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn listen() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("plugin=trace")
            .without_time()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines since the last look.
    fn lines(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }
}

/// A filter that accepts after it has logged; `body` is repeated for every event.
async fn talker(guest: &mut Guest, body: &str) -> Filter {
    guest.logging().accept(&format!("{body} (call $answer (i32.const 1))"));
    let plugin = load(&guest.component(), |config| config.timeout = Duration::from_secs(60)).unwrap();
    Filter::start(plugin).await.unwrap()
}

#[tokio::test]
async fn what_a_plugin_logs_carries_its_name_and_level() {
    let (log, _guard) = Log::listen();
    let mut guest = Guest::filter();
    let hello = guest.text("hello");
    let body: String = (0..5).map(|level| format!("(call $log (i32.const {level}) {hello})")).collect();
    talker(&mut guest, &body).await.accept(&event()).await.unwrap();
    let expected = ["TRACE", "DEBUG", "INFO", "WARN", "WARN"];
    assert_eq!(log.lines(), expected.map(|level| format!("{level} plugin: hello plugin=\"guest\"")));
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_counted_call_by_call() {
    let (log, _guard) = Log::listen();
    let mut guest = Guest::filter();
    let line = guest.text("again");
    // A million in the first call, a hundred in the second.
    guest.field("(global $lines (mut i32) (i32.const 1000000))");
    let body = format!(
        "(local $left i32)
         (local.set $left (global.get $lines))
         (global.set $lines (i32.const 100))
         (loop $again
           (call $log (i32.const 2) {line})
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br_if $again (local.get $left)))"
    );
    let mut filter = talker(&mut guest, &body).await;
    for dropped in [999_936, 36] {
        filter.accept(&event()).await.unwrap();
        let lines = log.lines();
        assert_eq!(lines.len(), 65);
        let last = format!("WARN plugin: {dropped} more log lines in one call were dropped plugin=\"guest\"");
        assert_eq!(lines[64], last);
    }
}

#[tokio::test]
async fn a_log_line_is_one_line_and_cut_at_4_kib() {
    let (log, _guard) = Log::listen();
    let mut guest = Guest::filter();
    let (forged, long) = (guest.text("one\r\nERROR two\x1b[2J"), guest.text(&"é".repeat(5_000)));
    let body = format!("(call $log (i32.const 2) {forged}) (call $log (i32.const 2) {long})");
    talker(&mut guest, &body).await.accept(&event()).await.unwrap();
    let long = format!("INFO plugin: {}… plugin=\"guest\"", "é".repeat(2046));
    assert_eq!(log.lines(), ["INFO plugin: one  ERROR two\u{fffd}[2J plugin=\"guest\"".to_owned(), long]);
}

#[tokio::test]
async fn a_log_line_of_20_mb_is_not_even_copied() {
    let (log, _guard) = Log::listen();
    let mut guest = Guest::filter();
    let body = "(drop (memory.grow (i32.const 400))) (call $log (i32.const 2) (i32.const 65536) (i32.const 20000000))";
    let error = talker(&mut guest, body).await.accept(&event()).await;
    assert_eq!(error, Err(CallError::BadAnswer("it is more than the 16 MiB that a call may hand over".to_owned())));
    assert!(log.lines().is_empty());
}

#[tokio::test]
async fn standard_output_goes_to_the_log_line_by_line() {
    let (log, _guard) = Log::listen();
    let mut guest = wasi_filter(&[
        ("cli/stderr", "get-stderr", "stderr", "(result i32)"),
        ("io/streams", "[method]output-stream.blocking-write-and-flush", "write", "(param i32 i32 i32 i32)"),
    ]);
    let text = guest.text("panicked at lib.rs:3\nno such key\nand no newline");
    guest.accept(&format!("(call $write (call $stderr) {text} (i32.const 32)) unreachable"));
    let mut filter = Filter::start(load(&guest.component(), |_| {}).unwrap()).await.unwrap();
    filter.accept(&event()).await.unwrap_err();
    let expected = ["panicked at lib.rs:3", "no such key", "and no newline"];
    assert_eq!(log.lines(), expected.map(|line| format!("INFO plugin: {line} plugin=\"guest\"")));
}
