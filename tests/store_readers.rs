//! Who reads beside the running program stops nobody, whether for short or for long.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::time::{Duration, Instant};

use dockbell::store::{Filter, MessageState, Outcome, Reader, Then};
use fixture::{end, message, noon, numbered, open, seal};
use rusqlite::{Connection, OpenFlags};

#[tokio::test]
async fn the_outbox_is_listed_while_the_program_runs_and_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    let all = vec![message("ops", "web", 3), message("ops", "db", 1)];
    let id = all[0].id;
    let numbers = seal(&store, all).await;
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.messages(&Filter::default()).unwrap().len(), 2);
    assert_eq!(reader.letters(id).unwrap()[0].wire.as_deref(), Some(b"wire of web 3".as_slice()));

    let out = store.begin(numbers[0], noon()).await.unwrap().unwrap();
    assert_eq!(reader.stats().unwrap().count(MessageState::Sending), 1);
    store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap();
    assert_eq!(reader.messages(&Filter::default()).unwrap().len(), 1);
    drop(reader);
    store.close().await.unwrap();
    assert_eq!(Reader::open(directory.path()).unwrap().messages(&Filter::default()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_reader_stops_nobody_and_the_log_that_grows_behind_it_is_seen_and_goes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    let engine = store.appender("local");
    let mut next = 0;
    let mut append = async || {
        engine.append(numbered(next..next + 100, 10_000)).await.unwrap().await.unwrap();
        next += 100;
    };
    append().await;
    let reader = Connection::open_with_flags(store.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let lines =
        |reader: &Connection| reader.query_row("SELECT sum(count) FROM journal", (), |row| row.get::<_, i64>(0));
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(lines(&reader).unwrap(), 100);
    for _ in 0..30 {
        append().await;
    }
    assert_eq!(lines(&reader).unwrap(), 100, "it sees the moment at which it began");
    let grown = store.stats().await.unwrap().wal_bytes;
    assert!(grown > 20 << 20, "{grown}");

    reader.execute_batch("ROLLBACK").unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        append().await;
        let bytes = store.stats().await.unwrap().wal_bytes;
        if bytes <= 17 << 20 {
            break;
        }
        assert!(Instant::now() < deadline, "{bytes}");
    }
}
