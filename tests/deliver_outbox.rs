//! The outbox: it never waits, holds a bounded amount, and says what it could not deliver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dockbell::config::Output;
use dockbell::deliver::{Outbox, Sink, Stdout};
use dockbell_tests::deliver::{email, message, sink, text_message};
use dockbell_tests::smtp::{Fault, ScriptedSmtp, Stage};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tracing_subscriber::fmt::MakeWriter;

/// Log lines, kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Keeps what this thread logs until the guard is dropped.
    fn record(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().with_writer(self.clone()).with_ansi(false).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn errors(&self) -> Vec<String> {
        self.text().lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_and_said() {
    let log = Log::default();
    let _guard = log.record();
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Greeting, Fault::Stall);
    let outbox = Outbox::start(vec![("ops".to_owned(), sink(&email(server.port())))]);
    let small = Arc::new(message(1, "small"));
    for _ in 0..10_002 {
        outbox.send("ops", Arc::clone(&small));
    }
    let stats = outbox.stats("ops").unwrap().borrow().clone();
    assert_eq!((stats.waiting, stats.refused), (10_000, 2));
    assert_eq!(log.errors().len(), 2);
    assert!(
        log.text().contains("A message is lost. sink=\"ops\"") && log.text().contains("10000 messages wait already")
    );
}

#[tokio::test(start_paused = true)]
async fn at_most_64_mib_wait_for_a_sink() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Greeting, Fault::Stall);
    let outbox = Outbox::start(vec![("ops".to_owned(), sink(&email(server.port())))]);
    let large = Arc::new(text_message(1, "large", &"x".repeat(1 << 20)));
    for _ in 0..100 {
        outbox.send("ops", Arc::clone(&large));
    }
    let stats = outbox.stats("ops").unwrap().borrow().clone();
    assert_eq!((stats.waiting, stats.refused), (63, 37));
    assert!(stats.waiting_bytes <= 64 << 20);
}

#[tokio::test]
async fn sending_never_waits() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Greeting, Fault::Stall);
    let outbox = Outbox::start(vec![("ops".to_owned(), sink(&email(server.port())))]);
    let one = Arc::new(message(1, "web died"));
    let begun = Instant::now();
    for _ in 0..1_000 {
        outbox.send("ops", Arc::clone(&one));
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn closing_delivers_what_is_there() {
    let server = ScriptedSmtp::start().await;
    let outbox = Outbox::start(vec![("ops".to_owned(), sink(&email(server.port())))]);
    for number in 0..20 {
        outbox.send("ops", Arc::new(message(number, "web died")));
    }
    let left = outbox.close(Duration::from_secs(20)).await;
    assert_eq!((left.total(), server.mails().len()), (0, 20));
    assert_eq!(left.to_string(), "everything was delivered");
}

#[tokio::test(start_paused = true)]
async fn closing_tries_at_once_what_was_put_off() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Greeting, Fault::reply("421 not now"));
    let outbox = Outbox::start(vec![("ops".to_owned(), sink(&email(server.port())))]);
    outbox.send("ops", Arc::new(message(1, "web died")));
    let mut stats = outbox.stats("ops").unwrap();
    stats.wait_for(|stats| stats.retried == 12).await.unwrap();
    server.heal();
    let begun = tokio::time::Instant::now();
    assert_eq!(outbox.close(Duration::from_secs(10)).await.total(), 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_after_the_grace_is_counted_and_said() {
    let log = Log::default();
    let _guard = log.record();
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Dot, Fault::Stall);
    let outbox = Outbox::start(vec![("ops".to_owned(), sink(&email(server.port())))]);
    outbox.send("ops", Arc::new(message(1, "web died\r\nforged line")));
    outbox.send("ops", Arc::new(message(2, "db died")));
    server.wait_until(Duration::from_secs(9), |server| server.attempts().len() == 1).await;
    let begun = tokio::time::Instant::now();
    let left = outbox.close(Duration::from_secs(10)).await;
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!((left.total(), left.sinks["ops"]), (2, 2));
    assert_eq!(left.to_string(), "not delivered: 2 for `ops`");
    let errors = log.errors();
    assert_eq!(errors.len(), 2);
    assert!(errors[0].contains("subject=\"web died  forged line\""), "{errors:?}");
    assert!(errors[1].contains("subject=\"db died\""), "{errors:?}");

    outbox.send("ops", Arc::new(message(3, "too late")));
    assert!(log.errors()[2].contains("the program is ending"));
}

#[tokio::test]
async fn a_sink_that_does_not_exist_is_said() {
    let log = Log::default();
    let _guard = log.record();
    Outbox::start(Vec::new()).send("nobody", Arc::new(message(1, "web died")));
    assert!(log.text().contains("there is no such sink"), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_warned_of_and_its_end_is_told_without_errors() {
    let log = Log::default();
    let _guard = log.record();
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Greeting, Fault::reply("554 5.7.1 blocked"));
    let outbox = Outbox::start(vec![("ops".to_owned(), sink(&email(server.port())))]);
    outbox.send("ops", Arc::new(message(1, "web died")));
    server.wait_for(1).await;
    outbox.all_told().await;
    let text = log.text();
    assert!(text.contains("WARN") && text.contains("The sink takes nothing; its messages wait."), "{text}");
    assert!(text.contains("554 5.7.1 blocked") && text.contains("INFO"), "{text}");
    assert!(text.contains("The sink takes messages again."), "{text}");
    assert!(log.errors().is_empty());
}

#[tokio::test]
async fn when_the_only_reader_goes_away_it_can_be_waited_for() {
    let log = Log::default();
    let _guard = log.record();
    let (place, reader) = tokio::io::duplex(64);
    drop(reader);
    let outbox = Outbox::start(vec![("terminal".to_owned(), Sink::Stdout(Stdout::to(Output::Text, false, place)))]);
    for number in 0..3 {
        outbox.send("terminal", Arc::new(message(number, "web died")));
    }
    tokio::time::timeout(Duration::from_secs(20), outbox.all_gone()).await.unwrap();
    outbox.send("terminal", Arc::new(message(4, "web died")));
    assert_eq!(log.text().matches("WARN").count(), 1, "{}", log.text());
    assert!(log.errors().is_empty(), "{}", log.text());
    let left = outbox.close(Duration::from_secs(20)).await;
    assert_eq!(left.total(), 0);
    assert_eq!(outbox.stats("terminal").unwrap().borrow().refused, 4);
}

/// A place where every second write fails in an unheard-of way.
struct Trap(tokio::io::DuplexStream, usize);

impl AsyncWrite for Trap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1 += 1;
        assert!(self.1 % 2 == 1, "the test's own panic");
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_panic_costs_one_message_and_is_said() {
    let log = Log::default();
    let _guard = log.record();
    let (place, mut reader) = tokio::io::duplex(1 << 16);
    let stdout = Stdout::to(Output::Text, false, Trap(place, 0));
    let outbox = Outbox::start(vec![("terminal".to_owned(), Sink::Stdout(stdout))]);
    for number in 0..3 {
        outbox.send("terminal", Arc::new(text_message(number, &format!("message {number}"), "")));
    }
    assert_eq!(outbox.close(Duration::from_secs(20)).await.total(), 0);
    let stats = outbox.stats("terminal").unwrap().borrow().clone();
    assert_eq!((stats.delivered, stats.refused, stats.waiting, stats.waiting_bytes), (2, 1, 0, 0));
    assert_eq!(log.errors().len(), 1);
    assert!(log.errors()[0].contains("subject=\"message 1\""), "{:?}", log.errors());
    drop(outbox);
    let mut shown = String::new();
    reader.read_to_string(&mut shown).await.unwrap();
    assert_eq!(shown, "message 0\nmessage 2\n");
}

#[tokio::test]
async fn a_mail_is_accepted_without_the_wait_of_a_delayed_acknowledgement() {
    let server = ScriptedSmtp::start().await;
    let outbox = Outbox::start(vec![("ops".to_owned(), sink(&email(server.port())))]);
    let mut times = Vec::new();
    for number in 0..50 {
        let begun = Instant::now();
        outbox.send("ops", Arc::new(message(number, "web died")));
        let mails = server.wait_for(usize::try_from(number).unwrap() + 1).await;
        times.push(mails.last().unwrap().at - begun);
    }
    times.sort();
    println!("p50 {:?}, p98 {:?}", times[25], times[48]);
    assert!(times[25] < Duration::from_millis(40), "{times:?}");
}
