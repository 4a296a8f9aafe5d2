//! The outbox: what is in the store is delivered, by this program or the next, and what is not delivered is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dockbell::config::Output;
use dockbell::deliver::{Retry, Sink, Stdout, Trouble, Waits};
use dockbell::store::{MessageState, Place};
use dockbell_tests::deliver::{Post, email, message, soon, text_message};
use dockbell_tests::smtp::{Fault, ScriptedSmtp, Stage};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tracing_subscriber::fmt::MakeWriter;

/// Long enough for what takes milliseconds.
const SOON: Duration = Duration::from_secs(20);

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

thread_local! {
    /// Where this thread's lines go.
    static RECORDING: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// Finds the log of the thread. One subscriber for all: tracing remembers what nobody wants, and forgets it too late when
/// threads bring and take away subscribers of their own.
struct PerThread;

impl<'a> MakeWriter<'a> for PerThread {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        RECORDING.with_borrow(|log| log.clone().unwrap_or_default())
    }
}

/// Ends a recording when it is dropped.
struct Recording;

impl Drop for Recording {
    fn drop(&mut self) {
        RECORDING.set(None);
    }
}

impl Log {
    /// Keeps what this thread logs until the guard is dropped.
    fn record(&self) -> Recording {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| tracing_subscriber::fmt().with_writer(PerThread).with_ansi(false).init());
        RECORDING.set(Some(self.clone()));
        Recording
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn errors(&self) -> Vec<String> {
        self.text().lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect()
    }
}

/// A state directory in a folder of its own.
fn state() -> (TempDir, Place) {
    let folder = TempDir::new().unwrap();
    let place = Place::Directory(folder.path().join("state"));
    (folder, place)
}

/// Waits at least an hour before it tries anything again.
fn in_an_hour() -> Retry {
    let waits = Waits { first: Duration::from_hours(2), most: Duration::from_hours(2) };
    Retry { sink: waits, message: waits, ..Retry::default() }
}

async fn failed_attempts(outbox: &Post, sink: &str, count: u64) {
    let mut stats = outbox.stats(sink).unwrap();
    let failed = stats.wait_for(|stats| stats.retried >= count);
    tokio::time::timeout(SOON, failed).await.expect("attempts that fail").unwrap();
}

#[tokio::test]
async fn messages_survive_the_program_with_their_ids_and_their_bytes() {
    let (_folder, place) = state();
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Dot, Fault::Drop);
    server.always(Stage::Greeting, Fault::reply("421 not now"));
    let config = email(server.port());
    let outbox = Post::mail_in(&place, &config, in_an_hour()).await;
    for number in 0..5 {
        outbox.send("ops", &message(number, &format!("message {number}"))).await;
    }
    failed_attempts(&outbox, "ops", 1).await;
    let before = outbox.messages().await;
    let left = outbox.end(Duration::ZERO).await;
    assert_eq!((left.kept, left.lost(), left.sinks["ops"]), (true, 0, 5));
    assert_eq!(left.to_string(), "not delivered: 5 for `ops`");

    server.heal();
    server.always(Stage::Dot, Fault::Drop);
    let outbox = Post::mail_in(&place, &config, soon()).await;
    assert_eq!(outbox.messages().await.iter().map(|one| one.id).collect::<Vec<_>>(), ids(&before));
    failed_attempts(&outbox, "ops", 1).await;
    assert_eq!(outbox.end(Duration::ZERO).await.sinks["ops"], 5);
    server.heal();

    let outbox = Post::mail_in(&place, &config, soon()).await;
    let mails = server.wait_for(5).await;
    outbox.all_told().await;
    assert!(outbox.messages().await.is_empty(), "all are sent");
    let attempts = server.attempts();
    for mail in &mails {
        let same = attempts.iter().filter(|attempt| id_of(&attempt.bytes) == id_of(&mail.bytes));
        assert!(same.clone().all(|attempt| attempt.bytes == mail.bytes), "every attempt has the same bytes");
    }
    let first = attempts.iter().filter(|attempt| id_of(&attempt.bytes) == id_of(&attempts[0].bytes));
    assert!(first.count() > 1, "one was sent without an answer");
}

fn ids(messages: &[dockbell::store::Summary]) -> Vec<ulid::Ulid> {
    messages.iter().map(|message| message.id).collect()
}

fn id_of(mail: &[u8]) -> String {
    let text = String::from_utf8_lossy(mail).into_owned();
    text.lines().find(|line| line.starts_with("Message-ID: ")).unwrap().to_owned()
}

#[tokio::test]
async fn closing_delivers_what_is_there() {
    let server = ScriptedSmtp::start().await;
    let outbox = Post::mail(&email(server.port())).await;
    for number in 0..20 {
        outbox.send("ops", &message(number, "web died")).await;
    }
    let left = outbox.close(SOON).await;
    assert_eq!((left.lost(), server.mails().len()), (0, 20));
    assert_eq!(left.to_string(), "everything was delivered");
}

#[tokio::test]
async fn closing_tries_once_more_at_a_sink_that_took_nothing() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Greeting, Fault::reply("421 not now"));
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), in_an_hour()).await;
    outbox.send("ops", &message(1, "web died")).await;
    outbox.send("ops", &message(2, "db died")).await;
    failed_attempts(&outbox, "ops", 1).await;
    server.heal();
    assert_eq!(outbox.close(SOON).await.lost(), 0);
    assert_eq!(server.mails().len(), 2);
}

#[tokio::test]
async fn closing_without_a_state_directory_tries_once_more_what_was_put_off() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Rcpt, Fault::reply("451 4.7.1 greylisted"));
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), in_an_hour()).await;
    outbox.send("ops", &message(1, "web died")).await;
    outbox.send("ops", &message(2, "db died")).await;
    failed_attempts(&outbox, "ops", 2).await;
    server.heal();
    assert_eq!(outbox.close(SOON).await.lost(), 0);
    assert_eq!(server.mails().len(), 2);
}

#[tokio::test]
async fn closing_with_a_state_directory_leaves_alone_what_was_put_off() {
    let (_folder, place) = state();
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Rcpt, Fault::reply("451 4.7.1 greylisted"));
    let outbox = Post::mail_in(&place, &email(server.port()), in_an_hour()).await;
    outbox.send("ops", &message(1, "web died")).await;
    failed_attempts(&outbox, "ops", 1).await;
    let left = outbox.close(SOON).await;
    assert_eq!((left.sinks["ops"], left.lost(), server.mails().len()), (1, 0, 0));
}

#[tokio::test]
async fn closing_sends_as_text_what_is_refused_at_that_moment_and_the_rest() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Greeting, Fault::reply("421 not now"));
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), in_an_hour()).await;
    for number in 0..3 {
        outbox.send("ops", &message(number, "web died")).await;
    }
    failed_attempts(&outbox, "ops", 1).await;
    server.heal();
    server.once(Stage::Dot, Fault::reply("554 5.7.1 no HTML here"));
    assert_eq!(outbox.close(SOON).await.lost(), 0);
    assert_eq!(server.mails().len(), 3);
}

#[tokio::test]
async fn what_is_left_after_the_grace_is_lost_and_said_without_a_state_directory() {
    let log = Log::default();
    let _guard = log.record();
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Dot, Fault::Stall);
    let outbox = Post::mail(&email(server.port())).await;
    outbox.send("ops", &message(1, "web died\r\nforged line")).await;
    outbox.send("ops", &message(2, "db died")).await;
    server.wait_until(SOON, |server| server.attempts().len() == 1).await;
    let begun = Instant::now();
    let left = outbox.close(Duration::from_millis(300)).await;
    assert!(begun.elapsed() >= Duration::from_millis(300), "it waits as long as it may");
    assert_eq!((left.kept, left.lost(), left.sinks["ops"]), (false, 2, 2));
    let errors = log.errors();
    assert_eq!(errors.len(), 2);
    assert!(errors[0].contains("A message is lost.") && !errors[0].contains('\r'), "{errors:?}");
    assert!(errors[0].contains("web died") && errors[0].contains("forged line"), "one line: {errors:?}");
    assert!(errors[1].contains("subject=\"db died\""), "{errors:?}");
}

#[tokio::test]
async fn what_is_left_after_the_grace_is_kept_with_a_state_directory() {
    let log = Log::default();
    let _guard = log.record();
    let (_folder, place) = state();
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Dot, Fault::Stall);
    let config = email(server.port());
    let outbox = Post::mail_in(&place, &config, soon()).await;
    outbox.send("ops", &message(1, "web died")).await;
    outbox.send("ops", &message(2, "db died")).await;
    server.wait_until(SOON, |server| server.attempts().len() == 1).await;
    let left = outbox.end(Duration::from_millis(100)).await;
    assert_eq!((left.kept, left.lost(), left.sinks["ops"]), (true, 0, 2));
    assert!(log.errors().is_empty(), "{}", log.text());
    assert!(log.text().contains("not delivered: 2 for `ops`; that is done after the next start"), "{}", log.text());

    let outbox = Post::mail_in(&place, &config, soon()).await;
    let mails = server.wait_for(2).await;
    outbox.all_told().await;
    assert_eq!(server.attempts().len(), 3);
    assert_eq!(server.attempts()[0].bytes, mails[0].bytes, "the one that may have arrived is the same mail");
}

#[tokio::test]
async fn an_outage_is_warned_of_and_its_end_is_told_without_errors() {
    let log = Log::default();
    let _guard = log.record();
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Greeting, Fault::reply("554 5.7.1 blocked"));
    let outbox = Post::mail(&email(server.port())).await;
    outbox.send("ops", &message(1, "web died")).await;
    server.wait_for(1).await;
    outbox.all_told().await;
    let text = log.text();
    assert!(text.contains("WARN") && text.contains("The sink takes nothing; its messages wait."), "{text}");
    assert!(text.contains("554 5.7.1 blocked") && text.contains("INFO"), "{text}");
    assert!(text.contains("The sink takes messages again."), "{text}");
    assert!(log.errors().is_empty());
    assert!(outbox.troubles().is_empty(), "it was short");
}

#[tokio::test]
async fn an_outage_that_lasts_is_told_once_and_the_next_one_again() {
    let server = ScriptedSmtp::start().await;
    let retry = Retry { patience: Duration::from_millis(50), ..soon() };
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), retry).await;
    let mut failures = 0;
    for outage in 1..=2 {
        server.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
        server.always(Stage::Mail, Fault::reply("421 4.3.2 not now"));
        outbox.send("ops", &message(outage, "web died")).await;
        failures += 10;
        failed_attempts(&outbox, "ops", failures).await;
        server.heal();
        server.wait_for(usize::try_from(outage).unwrap()).await;
        outbox.all_told().await;
        failures = outbox.stats("ops").unwrap().borrow().retried;
        let told = outbox.troubles();
        assert_eq!(told.len(), usize::try_from(outage).unwrap(), "{told:?}");
        let Some(Trouble::SinkFailed { sink, error }) = told.last() else { panic!("{told:?}") };
        assert!(&**sink == "ops" && error.contains("421 4.3.2 not now"), "{told:?}");
    }
}

#[tokio::test]
async fn a_message_about_a_failure_that_fails_itself_is_not_told_again() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Rcpt, Fault::reply("550 5.1.1 nobody"));
    let outbox = Post::mail(&email(server.port())).await;
    let mut messages = outbox.seal("ops", &message(1, "a message could not be delivered")).await;
    messages[0].alarm = true;
    outbox.put("ops", messages).await;
    outbox.all_told().await;
    assert_eq!(outbox.messages().await[0].state, MessageState::Dead);
    assert!(outbox.troubles().is_empty(), "{:?}", outbox.troubles());

    outbox.send("ops", &message(2, "web died")).await;
    outbox.all_told().await;
    assert!(matches!(&outbox.troubles()[..], [Trouble::DeadLetter { .. }]), "{:?}", outbox.troubles());
}

#[tokio::test]
async fn a_message_whose_bytes_the_disk_has_changed_is_not_sent_but_told() {
    let (_folder, place) = state();
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Greeting, Fault::reply("421 not now"));
    let outbox = Post::mail_in(&place, &email(server.port()), in_an_hour()).await;
    outbox.send("ops", &message(1, "web died")).await;
    outbox.send("ops", &message(2, "db died")).await;
    failed_attempts(&outbox, "ops", 1).await;
    let path = outbox.store.path().to_owned();
    outbox.end(Duration::ZERO).await;
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute("UPDATE body SET wire = CAST(wire || 'x' AS BLOB) WHERE message = 1", ()).unwrap();
    drop(database);

    server.heal();
    let outbox = Post::mail_in(&place, &email(server.port()), soon()).await;
    let mails = server.wait_for(1).await;
    assert!(String::from_utf8_lossy(&mails[0].bytes).contains("Subject: db died"));
    outbox.all_told().await;
    let [held] = &outbox.messages().await[..] else { panic!("one is left") };
    assert_eq!((held.state, held.subject.as_str()), (MessageState::Held, "web died"));
    let [Trouble::DeadLetter { id, error, .. }] = &outbox.troubles()[..] else { panic!("{:?}", outbox.troubles()) };
    assert!(*id == held.id && error.contains("the disk has changed the bytes"), "{error}");
}

/// A terminal at this place; the one that writes messages has none.
fn terminal(place: impl AsyncWrite + Send + Sync + Unpin + 'static) -> [Sink; 2] {
    let on = |place| Sink::Stdout(Stdout::to(Output::Text, false, place));
    [on(Box::new(tokio::io::sink()) as Box<dyn AsyncWrite + Send + Sync + Unpin>), on(Box::new(place))]
}

#[tokio::test]
async fn when_the_only_reader_goes_away_it_can_be_waited_for() {
    let log = Log::default();
    let _guard = log.record();
    let (place, reader) = tokio::io::duplex(64);
    drop(reader);
    let outbox = Post::start(&Place::Memory, "terminal", terminal(place), Retry::default()).await;
    for number in 0..3 {
        outbox.send("terminal", &message(number, "web died")).await;
    }
    tokio::time::timeout(SOON, outbox.all_gone()).await.unwrap();
    outbox.send("terminal", &message(4, "web died")).await;
    assert_eq!(log.text().matches("WARN").count(), 1, "{}", log.text());
    let left = outbox.close(SOON).await;
    assert_eq!(left.lost(), 0, "nobody is left who could miss them");
    assert!(log.errors().is_empty(), "{}", log.text());
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
async fn a_panic_costs_one_message_which_becomes_a_dead_letter() {
    let log = Log::default();
    let _guard = log.record();
    let (place, mut reader) = tokio::io::duplex(1 << 16);
    let outbox = Post::start(&Place::Memory, "terminal", terminal(Trap(place, 0)), Retry::default()).await;
    for number in 0..3 {
        outbox.send("terminal", &text_message(number, &format!("message {number}"), "")).await;
    }
    outbox.all_told().await;
    let stats = outbox.stats("terminal").unwrap().borrow().clone();
    assert_eq!((stats.delivered, stats.refused), (2, 1));
    let [dead] = &outbox.messages().await[..] else { panic!("one is left") };
    assert_eq!((dead.state, dead.subject.as_str()), (MessageState::Dead, "message 1"));
    let [Trouble::DeadLetter { sink, id, error, .. }] = &outbox.troubles()[..] else { panic!("one is told") };
    assert_eq!((&**sink, *id), ("terminal", dead.id));
    assert_eq!(error, "delivering it failed in dockbell itself; please report this");
    assert_eq!(log.errors().len(), 1);
    assert_eq!(outbox.close(SOON).await.lost(), 0);
    drop(outbox);
    let mut shown = String::new();
    reader.read_to_string(&mut shown).await.unwrap();
    assert_eq!(shown, "message 0\nmessage 2\n");
}

#[tokio::test]
async fn a_mail_is_accepted_without_the_wait_of_a_delayed_acknowledgement() {
    let server = ScriptedSmtp::start().await;
    let outbox = Post::mail(&email(server.port())).await;
    let mut times = Vec::new();
    for number in 0..50 {
        let begun = Instant::now();
        outbox.send("ops", &message(number, "web died")).await;
        let mails = server.wait_for(usize::try_from(number).unwrap() + 1).await;
        times.push(mails.last().unwrap().at - begun);
    }
    times.sort();
    println!("p50 {:?}, p98 {:?}", times[25], times[48]);
    assert!(times[25] < Duration::from_millis(40), "{times:?}");
}
