//! What the engine skipped while the stream looked well.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::time::Duration;

use dockbell::event::{Event, Fact};
use dockbell_tests::engine::{REMEMBERS, ScriptedEngine, Watch, container};
use jiff::Timestamp;

/// From when until when events are missing, as a gap says it.
fn times(gap: &Event) -> (i64, i64) {
    let time = |name| gap.attribute(name).unwrap().parse::<Timestamp>().unwrap().as_nanosecond();
    (i64::try_from(time("from")).unwrap(), i64::try_from(time("to")).unwrap())
}

fn name(event: &Event) -> &str {
    event.attribute("name").unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_engine_skipped_is_told_late_and_the_gap_is_told() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let (seen, skipped) = (container("die").name("seen"), container("die").name("skipped"));
    engine.send(&seen);
    engine.skip(&skipped);
    assert_eq!(name(&watch.next().await), "seen");
    let late = watch.next().await;
    assert_eq!((name(&late), late.fact(Fact::Late)), ("skipped", Some("true")));
    let gap = watch.next().await;
    assert_eq!((gap.kind.as_str(), gap.action.as_str()), ("dockbell", "gap"));
    assert!(gap.attribute("reason").unwrap().contains("did not read fast enough"), "{gap:?}");
    assert_eq!(times(&gap), (seen.time_nanos(), skipped.time_nanos()));
    assert!(watch.quiet_for(Duration::from_secs(120)).await, "told once");
    engine.send(&skipped);
    assert!(watch.quiet_for(Duration::from_secs(120)).await, "though the stream brings it after all");
    // The position is where the stream is: what was found does not have to come again.
    let streams = engine.streams();
    engine.close();
    engine.subscribed(streams + 1).await;
    assert!(watch.quiet_for(Duration::from_secs(120)).await);
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_skipped_and_forgot_is_a_gap_from_the_last_event_that_the_stream_brought_before_it() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let before = container("die").name("before");
    engine.send(&before);
    let skipped: Vec<_> = (0..35_000).map(|_| container("start")).collect();
    skipped.iter().for_each(|event| engine.skip(event));
    engine.send(container("die").name("after"));
    assert_eq!(name(&watch.next().await), "before");
    assert_eq!(name(&watch.next().await), "after");
    let mut late = Vec::new();
    let gap = loop {
        let event = watch.next().await;
        if event.action == "gap" {
            break event;
        }
        late.push(event.time_nanos);
    };
    // It remembers those and the one that came.
    let known: Vec<_> = skipped[35_000 + 1 - REMEMBERS..].iter().map(|event| event.time_nanos()).collect();
    assert_eq!(late, known);
    assert_eq!(times(&gap), (before.time_nanos(), known[0]));
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
