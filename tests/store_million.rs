//! A million lines and a million messages that wait: the start is quick, and memory does not grow with them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::path::Path;
use std::time::{Duration, Instant};

use dockbell::store::{Due, MessageState};
use fixture::{again, message, noon, numbered, open, said, seal};

/// A million where the program is built for use; elsewhere a twentieth, and as much time.
const HOW_MANY: u32 = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
const START: Duration = Duration::from_secs(5);
/// What may come on top of what the program had before: pages, and rows of one question.
const MEMORY: u64 = 64 << 20;

/// The most memory that this process ever had.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn with_a_million_waiting_the_start_is_quick_and_memory_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    store.open_route("default").await.unwrap();
    let engine = store.appender("local");
    let mut tickets = Vec::new();
    for one in 0..HOW_MANY {
        tickets.push(engine.append(numbered(one..one + 1, 200)).await.unwrap());
        if tickets.len() == 10_000 || one + 1 == HOW_MANY {
            for ticket in tickets.drain(..) {
                ticket.await.unwrap();
            }
        }
    }
    for chunk in 0..HOW_MANY / 1_000 {
        let group = |one| message(if one % 2 == 0 { "ops" } else { "chat" }, &format!("{}", chunk * 1_000 + one), 1);
        seal(&store, (0..1_000).map(group).collect()).await;
    }
    store.close().await.unwrap();
    // As after a crash: all of it is checked.
    std::fs::write(directory.path().join("dockbell.lock"), "process 1 on `host`\n").unwrap();

    let mut child = again("start_and_read_it_all", ("DOCKBELL_TEST_MILLION", directory.path())).spawn().unwrap();
    let words: Vec<String> = said(&mut child).collect();
    assert!(child.wait().unwrap().success(), "{words:?}");
    println!("{}", words.join("\n"));
}

#[tokio::test]
#[ignore = "the process that the test above measures"]
async fn start_and_read_it_all() {
    let Some(directory) = std::env::var_os("DOCKBELL_TEST_MILLION") else { return };
    let before = most_memory();
    let started = Instant::now();
    let store = open(Path::new(&directory)).store;
    let Due::Now(first) = store.next_due("ops", noon()).await.unwrap() else { panic!("they wait") };
    let opened = started.elapsed();
    let outgoing = store.begin(first, noon()).await.unwrap().unwrap();
    assert_eq!((&*outgoing.group, outgoing.tries), ("0", 1));
    let started = Instant::now();
    let stats = store.stats().await.unwrap();
    let counted = started.elapsed();
    assert_eq!((stats.count(MessageState::Pending), stats.journal_lines), (u64::from(HOW_MANY) - 1, HOW_MANY.into()));

    let (mut after, mut lines) = (0, 0);
    loop {
        let batches = store.journal(after, 1 << 20).await.unwrap();
        let Some(last) = batches.last() else { break };
        lines += batches.iter().map(|batch| batch.lines(after).count()).sum::<usize>();
        after = last.last();
    }
    assert_eq!(lines, HOW_MANY as usize);
    let grown = most_memory() - before;
    println!("{HOW_MANY}: opened in {opened:?}, counted in {counted:?}, at most {} MiB more memory", grown >> 20);
    assert!(opened < START, "{opened:?}");
    assert!(grown < MEMORY, "{grown}");
}
