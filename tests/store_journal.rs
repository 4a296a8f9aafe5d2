//! The journal: what was read is there again after a restart, in its order, and so is the cursor of its engine.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::sync::Arc;

use dockbell::store::{Append, ContainerState, Gap, KEYS, Keep, Lines, OpenGap};
use fixture::{all_lines, both, noon, number, numbered, open};

#[tokio::test]
async fn lines_come_back_in_their_order_with_all_that_is_known_of_them() {
    for (_directory, store) in both() {
        let engine = store.appender("local");
        let lines: Lines = [b"{\"a\":\n1}".as_slice(), b"\xff\x00 raw"].into_iter().collect();
        let append = Append { received: noon(), lines, ..Append::default() };
        let first = engine.append(Arc::new(append)).await.unwrap().await.unwrap();
        assert_eq!((first.first, first.last), (1, 2));
        let own = store.appender("dockbell");
        let append = Append { received: noon(), lines: [b"{}".as_slice()].into_iter().collect(), ..Append::default() };
        own.append(Arc::new(append)).await.unwrap().await.unwrap();

        let batches = store.journal(0, 1 << 20).await.unwrap();
        let [one, two] = batches.as_slice() else { panic!("{batches:?}") };
        assert_eq!((&*one.engine, one.received, one.count), ("local", noon(), 2));
        // A line feed within a line is a blank, everything else is as it was.
        assert_eq!(one.lines(0).collect::<Vec<_>>(), [(1, b"{\"a\": 1}".as_slice()), (2, b"\xff\x00 raw")]);
        assert_eq!((&*two.engine, two.first), ("dockbell", 3));
        assert_eq!(store.newest().await.unwrap(), 3);
    }
}

#[tokio::test]
async fn reading_begins_within_a_batch_and_comes_in_chunks() {
    for (_directory, store) in both() {
        let engine = store.appender("local");
        for batch in 0..20 {
            engine.append(numbered(batch * 10..batch * 10 + 10, 1000)).await.unwrap().await.unwrap();
        }
        let chunk = store.journal(55, 25_000).await.unwrap();
        assert_eq!(chunk.len(), 2, "two batches of 10 kB fit into 25 kB");
        assert_eq!(chunk[0].lines(55).map(|(seq, _)| seq).collect::<Vec<_>>(), (56..=60).collect::<Vec<_>>());
        assert_eq!(store.journal(55, 1).await.unwrap().len(), 1, "at least one");
        assert_eq!(store.journal(60, 1).await.unwrap()[0].first, 61);
        assert!(store.journal(200, 1 << 20).await.unwrap().is_empty());
        let seqs: Vec<u64> = all_lines(&store, 0).await.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_cursor_is_where_the_last_stored_line_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    assert_eq!(store.cursor("local").await.unwrap(), None);
    let engine = store.appender("local");
    for batch in 0..5 {
        engine.append(numbered(batch * 2..batch * 2 + 2, 0)).await.unwrap().await.unwrap();
    }
    store.close().await.unwrap();
    let store = open(directory.path()).store;
    let cursor = store.cursor("local").await.unwrap().unwrap();
    assert_eq!(cursor.engine_id.as_deref(), Some("engine-id"));
    assert_eq!((cursor.last_nanos, cursor.anchor), (Some(9), Some(9)));
    assert_eq!(cursor.keys, (0..10).collect::<Vec<_>>());
    store.forget_cursor("local").await.unwrap();
    assert_eq!(store.cursor("local").await.unwrap(), None);
}

#[tokio::test]
async fn a_cursor_can_move_without_a_line() {
    for (_directory, store) in both() {
        let engine = store.appender("local");
        engine.append(numbered(0..1, 0)).await.unwrap().await.unwrap();
        let mut moved = Append::clone(&numbered(7..8, 0));
        moved.lines = Lines::default();
        engine.append(Arc::new(moved)).await.unwrap().await.unwrap();
        engine.append(numbered(8..9, 0)).await.unwrap().await.unwrap();
        let cursor = store.cursor("local").await.unwrap().unwrap();
        assert_eq!(cursor.keys, [0, 7, 8]);
        let lines: Vec<_> = all_lines(&store, 0).await.iter().map(|(seq, line)| (*seq, number(line))).collect();
        assert_eq!(lines, [(1, 0), (3, 8)]);
    }
}

#[tokio::test]
async fn a_gap_is_kept_from_the_lines_that_report_it_to_those_of_the_comparison() {
    for (_directory, store) in both() {
        let (engine, other) = (store.appender("local"), store.appender("other"));
        let open = OpenGap { from: 5, to: Some(7) };
        let mut append = Append::clone(&numbered(0..1, 0));
        append.moved.as_mut().unwrap().gap = Some(open);
        engine.append(Arc::new(append)).await.unwrap().await.unwrap();
        assert_eq!(store.cursor("local").await.unwrap().unwrap().gap, Some(open));
        for gap in [Gap { from: 5, to: 7 }, Gap { from: 8, to: 9 }] {
            let reported = Append { gap: Some(gap), ..Append::clone(&numbered(1..2, 0)) };
            engine.append(Arc::new(reported.clone())).await.unwrap().await.unwrap();
            other.append(Arc::new(reported)).await.unwrap().await.unwrap();
        }
        assert_eq!(store.cursor("local").await.unwrap().unwrap().gap, None);
        assert_eq!(store.gaps("local").await.unwrap(), [Gap { from: 5, to: 7 }, Gap { from: 8, to: 9 }]);
        let web = ContainerState { id: "web".to_owned(), state: "{}".to_owned() };
        let compared = Append { containers: Some(vec![web.clone()]), compared: true, ..Append::default() };
        engine.append(Arc::new(compared)).await.unwrap().await.unwrap();
        assert_eq!(store.gaps("local").await.unwrap(), []);
        assert_eq!(store.containers("local").await.unwrap(), [web]);
        assert_eq!(store.gaps("other").await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_all_routes_settled_goes_and_the_last_4096_keys_stay() {
    for (_directory, store) in both() {
        let (busy, rare) = (store.appender("busy"), store.appender("rare"));
        rare.append(numbered(0..3, 0)).await.unwrap().await.unwrap();
        for batch in 0..1000 {
            let ticket = busy.append(numbered(batch * 10..batch * 10 + 10, 0)).await.unwrap();
            if batch == 999 {
                ticket.await.unwrap();
            }
        }
        store.settle("slow", 5_003).await.unwrap();
        store.settle("quick", 10_003).await.unwrap();
        // Settling never goes back.
        store.settle("quick", 7).await.unwrap();
        while store.upkeep(noon(), Keep::default()).await.unwrap().more {}
        assert_eq!(store.stats().await.unwrap().journal_lines, 5_000);
        assert_eq!(all_lines(&store, 0).await.first().unwrap().0, 5_004);

        store.settle("slow", 10_003).await.unwrap();
        while store.upkeep(noon(), Keep::default()).await.unwrap().more {}
        assert!(all_lines(&store, 10_003).await.is_empty());
        assert_eq!(store.stats().await.unwrap().journal_lines, 10, "the last batch stays");
        let keys = store.cursor("busy").await.unwrap().unwrap().keys;
        assert!(keys.len() >= KEYS && keys.len() < KEYS + 10, "{}", keys.len());
        assert_eq!(keys.last(), Some(&9_999));
        assert_eq!(store.cursor("rare").await.unwrap().unwrap().keys, [0, 1, 2]);
        // Numbers go on where they were.
        let next = busy.append(numbered(0..1, 0)).await.unwrap().await.unwrap();
        assert_eq!(next.first, 10_004);
    }
}

#[tokio::test]
async fn without_a_route_nothing_is_settled() {
    for (_directory, store) in both() {
        store.appender("local").append(numbered(0..10, 0)).await.unwrap().await.unwrap();
        store.upkeep(noon(), Keep::default()).await.unwrap();
        assert_eq!(all_lines(&store, 0).await.len(), 10);
    }
}

#[tokio::test]
async fn lines_are_handed_over_while_a_commit_runs_and_all_are_stored_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    let engine = store.appender("local");
    let mut tickets = Vec::new();
    for one in 0..5_000 {
        tickets.push(engine.append(numbered(one..one + 1, 100)).await.unwrap());
    }
    for (ticket, one) in tickets.into_iter().zip(1..) {
        assert_eq!(ticket.await.unwrap().first, one);
    }
    let lines = all_lines(&store, 0).await;
    assert!(lines.iter().zip(0..).all(|((seq, line), one)| *seq == u64::from(one) + 1 && number(line) == one));
    assert_eq!(lines.len(), 5_000);
}

#[tokio::test]
async fn a_change_is_made_though_nobody_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    drop(store.appender("local").append(numbered(0..4, 0)).await.unwrap());
    store.close().await.unwrap();
    assert_eq!(all_lines(&open(directory.path()).store, 0).await.len(), 4);
}
