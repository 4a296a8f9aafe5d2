//! How quick the store is; says its figures and judges nothing, because disks differ. Run it on a quiet machine:
//! `cargo test --release -p dockbell-tests --test store_speed -- --ignored --nocapture`.

#[path = "store_fixture.rs"]
mod fixture;

use std::time::{Duration, Instant};

use dockbell::store::{Due, Outcome, Then};
use fixture::{end, message, noon, numbered, open, seal};

#[tokio::test]
#[ignore = "a measurement"]
async fn the_price_of_a_commit_of_a_burst_and_of_a_message() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    let engine = store.appender("local");

    // One event per commit: each waits for the one before.
    let mut took = Vec::new();
    for one in 0..4_000 {
        let append = numbered(one..one + 1, 500);
        let started = Instant::now();
        engine.append(append).await.unwrap().await.unwrap();
        took.push(started.elapsed());
    }
    let all: Duration = took.iter().sum();
    took.sort_unstable();
    let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("one event per commit: {:.0}/s, median {median:?}, p99 {p99:?}", 4_000.0 / all.as_secs_f64());

    // A burst: batches of 1,000 events, one after the other and handed over ahead.
    let batches: Vec<_> = (0..500).map(|batch| numbered(batch * 1_000..batch * 1_000 + 1_000, 500)).collect();
    let started = Instant::now();
    let mut tickets = Vec::new();
    for batch in batches {
        tickets.push(engine.append(batch).await.unwrap());
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    println!("a burst of 500,000 events of 500 bytes: {:.2} µs an event", started.elapsed().as_secs_f64() * 2.0);

    // A message from seal to sent: three commits.
    let started = Instant::now();
    for _ in 0..500 {
        seal(&store, vec![message("ops", "web", 1)]).await;
        let Due::Now(number) = store.next_due("ops", noon()).await.unwrap() else { panic!("one waits") };
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap();
    }
    println!("a message from seal to sent: {:?}", started.elapsed() / 500);
}
