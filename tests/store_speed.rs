//! How quick the store is; says its figures and judges nothing, because disks differ. Run it on a quiet machine:
//! `cargo test --release -p dockbell-tests --test store_speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dockbell::store::{Append, Due, Moved, Outcome, Then};
use fixture::{end, message, noon, open, seal};

/// Events as an engine sends them, some 500 bytes each, of 50 containers that restart.
fn events(numbers: std::ops::Range<u64>) -> Arc<Append> {
    let line = |number: u64| {
        let container = number / 4 % 50;
        let id = format!("{:016x}", container.wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(4);
        let action = ["kill", "die", "stop", "start"][(number % 4) as usize];
        let nanos = 1_763_000_000_000_000_000 + number * 1_234_567;
        format!(
            r#"{{"status":"{action}","id":"{id}","from":"registry.example.com/shop/web:2.31","Type":"container","Action":"{action}","Actor":{{"ID":"{id}","Attributes":{{"com.docker.compose.project":"shop","com.docker.compose.service":"web-{container}","exitCode":"137","image":"registry.example.com/shop/web:2.31","name":"shop-web-{container}-1"}}}},"scope":"local","time":{},"timeNano":{nanos}}}"#,
            nanos / 1_000_000_000
        )
    };
    let lines: Vec<String> = numbers.clone().map(line).collect();
    Arc::new(Append {
        received: noon(),
        lines: lines.iter().map(String::as_bytes).collect(),
        moved: Some(Moved {
            engine_id: Some("engine-id".into()),
            last_nanos: Some(0),
            anchor: Some(numbers.end.into()),
            keys: numbers.map(|number| u128::from(number) << 64 | u128::from(number)).collect(),
            gap: None,
        }),
        ..Append::default()
    })
}

#[tokio::test]
#[ignore = "a measurement"]
async fn the_price_of_a_commit_of_a_burst_and_of_a_message() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    let engine = store.appender("local");

    // One event per commit: each waits for the one before.
    let mut took = Vec::new();
    for one in 0_u64..4_000 {
        let append = events(one..one + 1);
        let started = Instant::now();
        engine.append(append).await.unwrap().await.unwrap();
        took.push(started.elapsed());
    }
    let all: Duration = took.iter().sum();
    took.sort_unstable();
    let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("one event per commit: {:.0}/s, median {median:?}, p99 {p99:?}", 4_000.0 / all.as_secs_f64());

    // A burst: batches of 1,000 events, one after the other and handed over ahead.
    let length = events(0..1_000).lines.bytes() / 1_000;
    let batches: Vec<_> = (0_u64..500).map(|batch| events(batch * 1_000..batch * 1_000 + 1_000)).collect();
    let started = Instant::now();
    let mut tickets = Vec::new();
    for batch in batches {
        tickets.push(engine.append(batch).await.unwrap());
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    println!("a burst of 500,000 events of {length} bytes: {:.2} µs an event", started.elapsed().as_secs_f64() * 2.0);

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
