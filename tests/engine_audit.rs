//! What the engine skipped while the stream looked well.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::time::Duration;

use dockbell::event::{Event, Fact};
use dockbell_tests::engine::{ScriptedEngine, Watch, container};

fn name(event: &Event) -> &str {
    event.attribute("name").unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_engine_skipped_is_told_late_and_the_gap_is_told() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die").name("seen"));
    engine.skip(container("die").name("skipped"));
    assert_eq!(name(&watch.next().await), "seen");
    let skipped = watch.next().await;
    assert_eq!((name(&skipped), skipped.fact(Fact::Late)), ("skipped", Some("true")));
    let gap = watch.next().await;
    assert_eq!((gap.kind.as_str(), gap.action.as_str()), ("dockbell", "gap"));
    assert!(gap.attribute("reason").unwrap().contains("did not read fast enough"), "{gap:?}");
    assert!(watch.quiet_for(Duration::from_secs(120)).await, "told once");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_brings_everything_is_not_suspected() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    for number in 0..300 {
        engine.send(container("die").name(&number.to_string()));
        assert_eq!(name(&watch.next().await), number.to_string());
    }
    assert!(watch.quiet_for(Duration::from_secs(120)).await);
    assert!(engine.requests().iter().filter(|path| path.contains("/events") && path.contains("until=")).count() >= 3);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_refuses_a_second_look_is_read_all_the_same() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.refuse("/events", 403, "one stream is enough");
    engine.skip(container("die").name("skipped"));
    assert!(watch.quiet_for(Duration::from_secs(60)).await);
    engine.allow("/events");
    assert_eq!(name(&watch.next().await), "skipped", "found the next time");
}
