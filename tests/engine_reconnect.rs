//! Connections that break: what is told, what is told once, and what is missing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::time::Duration;

use dockbell::engine::{End, Span};
use dockbell::event::{Event, Fact};
use dockbell_tests::engine::{ScriptedEngine, Watch, container};
use jiff::{SignedDuration, Timestamp};

fn name(event: &Event) -> &str {
    event.attribute("name").unwrap_or_default()
}

fn time(event: &Event, attribute: &str) -> Timestamp {
    event.attribute(attribute).unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_happened_meanwhile_is_told_once_and_as_late() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    for name in ["a", "b", "c"] {
        engine.send(container("die").name(name));
    }
    for known in ["a", "b", "c"] {
        assert_eq!(name(&watch.next().await), known);
    }
    engine.close();
    let lost = watch.next().await;
    assert_eq!((lost.kind.as_str(), lost.action.as_str()), ("dockbell", "engine_lost"));
    assert_eq!(lost.attribute("reason"), Some("the engine closed the stream"));
    engine.send(container("die").name("d"));
    assert!(watch.next().await.attribute("after").unwrap().ends_with('s'), "engine_back");
    engine.send(container("die").name("e"));
    let (d, e) = (watch.next().await, watch.next().await);
    assert_eq!((name(&d), d.fact(Fact::Late)), ("d", Some("true")));
    assert_eq!((name(&e), e.fact(Fact::Late)), ("e", None));
    assert!(watch.quiet_for(Duration::from_secs(60)).await, "no gap: the last known event was repeated");
}

#[tokio::test(start_paused = true)]
async fn events_with_times_out_of_order_are_not_skipped() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let newer = container("die").name("newer");
    // So far ahead that the other one is still after the start of the reader.
    let newer = newer.clone().at_nanos(newer.time_nanos() + 1_000_000);
    engine.send(&newer);
    assert_eq!(name(&watch.next().await), "newer");
    engine.close();
    assert_eq!(watch.next().await.action, "engine_lost");
    engine.send(container("die").name("older").at_nanos(newer.time_nanos() - 700_000));
    assert_eq!(watch.next().await.action, "engine_back");
    assert_eq!(name(&watch.next().await), "older");
}

#[tokio::test(start_paused = true)]
async fn two_events_of_the_same_nanosecond_survive_a_reconnect() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let first = container("die").name("first");
    engine.send(&first);
    watch.next().await;
    engine.close();
    assert_eq!(watch.next().await.action, "engine_lost");
    engine.send(container("die").name("second").at_nanos(first.time_nanos()));
    assert_eq!(watch.next().await.action, "engine_back");
    assert_eq!(name(&watch.next().await), "second");
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_engine_is_told_with_what_was_lost() {
    let mut engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die").name("before"));
    watch.next().await;
    engine.stop().await;
    let lost = watch.next().await;
    assert_eq!(lost.action, "engine_lost");
    let reason = lost.attribute("reason").unwrap();
    assert_eq!(reason, "the connection broke: the other side closed it in the middle of an answer");
    tokio::time::sleep(Duration::from_secs(100)).await;
    engine.restart().await;
    engine.send(container("start").name("after"));
    let back = watch.next().await;
    assert_eq!(back.action, "engine_back", "the outage is told once, not per attempt: {back:?}");
    let after: u64 = back.attribute("after").unwrap().trim_end_matches('s').parse().unwrap();
    assert!((100..140).contains(&after), "{after}");
    let late = watch.next().await;
    assert_eq!((name(&late), late.fact(Fact::Late)), ("after", Some("true")));
    let gap = watch.next().await;
    assert_eq!(gap.attribute("reason"), Some("the engine no longer remembers what happened"));
    assert!(time(&gap, "from") <= time(&gap, "to"), "{gap:?}");
    assert_eq!(time(&gap, "to").as_nanosecond(), i128::from(late.time_nanos));
    assert!(watch.quiet_for(Duration::from_secs(60)).await);
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_nothing_to_repeat_is_a_gap_too() {
    let mut engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die"));
    watch.next().await;
    engine.restart().await;
    assert_eq!(watch.next().await.action, "engine_lost");
    assert_eq!(watch.next().await.action, "engine_back");
    assert_eq!(watch.next().await.action, "gap");
}

#[tokio::test(start_paused = true)]
async fn more_events_than_the_engine_remembers_are_a_gap() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die").name("known"));
    watch.next().await;
    engine.close();
    assert_eq!(watch.next().await.action, "engine_lost");
    let meanwhile: Vec<_> = (0..300).map(|_| container("start")).collect();
    meanwhile.iter().for_each(|event| engine.send(event));
    assert_eq!(watch.next().await.action, "engine_back");
    let repeated = watch.until("gap").await;
    assert_eq!(repeated.len(), 256);
    let times: Vec<_> = repeated.iter().map(|event| event.time_nanos).collect();
    let sent: Vec<_> = meanwhile[44..].iter().map(|event| event.time_nanos()).collect();
    assert_eq!(times, sent, "each once, in order");
}

#[tokio::test(start_paused = true)]
async fn more_events_than_the_engine_remembers_are_a_gap_though_none_was_read_before() {
    let mut engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.close();
    assert_eq!(watch.next().await.action, "engine_lost");
    for round in 0..2 {
        let meanwhile: Vec<_> = (0..300).map(|_| container("start")).collect();
        meanwhile.iter().for_each(|event| engine.send(event));
        assert_eq!(watch.next().await.action, "engine_back");
        for event in &meanwhile[44..] {
            assert_eq!(watch.next().await.time_nanos, event.time_nanos());
        }
        let gap = watch.next().await;
        assert_eq!(gap.action, "gap", "round {round}");
        assert!(time(&gap, "from").as_nanosecond() < i128::from(meanwhile[0].time_nanos()));
        assert_eq!(time(&gap, "to").as_nanosecond(), i128::from(meanwhile[44].time_nanos()));
        // And again when the engine has forgotten the last event, which is a gap of its own.
        engine.restart().await;
        assert_eq!(watch.next().await.action, "engine_lost");
        assert_eq!(watch.next().await.action, "engine_back");
        assert_eq!(watch.next().await.action, "gap");
        engine.close();
        assert_eq!(watch.next().await.action, "engine_lost");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_engine_skipped_comes_with_the_next_connection() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die").name("a"));
    engine.skip(container("die").name("skipped"));
    engine.send(container("die").name("b"));
    assert_eq!(name(&watch.next().await), "a");
    assert_eq!(name(&watch.next().await), "b");
    engine.close();
    assert_eq!(watch.next().await.action, "engine_lost");
    assert_eq!(watch.next().await.action, "engine_back");
    assert_eq!(name(&watch.next().await), "skipped");
    assert!(watch.quiet_for(Duration::from_secs(60)).await, "the last known event was there: no gap");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_not_there_yet_is_waited_for() {
    let mut engine = ScriptedEngine::unix().await;
    engine.stop().await;
    let mut watch = Watch::start(&engine, Span::default(), 1 << 20);
    let lost = watch.next().await;
    assert!(lost.attribute("reason").unwrap().starts_with("there is no socket"), "{lost:?}");
    assert!(watch.quiet_for(Duration::from_secs(300)).await, "told once");
    engine.restart().await;
    assert_eq!(watch.next().await.action, "engine_back");
    engine.send(container("die"));
    assert_eq!(watch.next().await.action, "die");
}

#[tokio::test(start_paused = true)]
async fn every_refusal_is_told_in_its_own_words_and_none_ends_the_reader() {
    let engine = ScriptedEngine::unix().await;
    for (status, body, reason) in [
        (401, "", "`/v1.47/events` was answered with status 401: Unauthorized"),
        (403, "<html>", "`/v1.47/events` was answered with status 403: Forbidden"),
        (500, r#"{"message":"out of order"}"#, "`/v1.47/events` was answered with status 500: out of order"),
        (400, r#"{"message":"bad parameter"}"#, "`/v1.47/events` was answered with status 400: bad parameter"),
    ] {
        engine.refuse("/events", status, body);
        let mut watch = Watch::start(&engine, Span::default(), 1 << 20);
        assert_eq!(watch.next().await.attribute("reason"), Some(reason));
        engine.asked("/events", 3).await;
        engine.allow("/events");
        assert_eq!(watch.next().await.action, "engine_back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tcp_link_that_died_without_a_word_is_found_within_a_minute() {
    let engine = ScriptedEngine::tcp().await;
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die"));
    watch.next().await;
    engine.stall(true);
    let began = tokio::time::Instant::now();
    let lost = watch.next().await;
    assert_eq!(lost.action, "engine_lost");
    assert_eq!(lost.attribute("reason"), Some("no answer to `/_ping` within 10 s"));
    assert!(began.elapsed() <= Duration::from_secs(60), "{:?}", began.elapsed());
    engine.send(container("start").name("meanwhile"));
    // Two seconds pass for the engine: over TCP its clock is known to a second.
    engine.set_clock_ahead(SignedDuration::from_secs(2));
    engine.stall(false);
    assert_eq!(watch.next().await.action, "engine_back");
    let late = watch.next().await;
    assert_eq!((name(&late), late.fact(Fact::Late)), ("meanwhile", Some("true")));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_link_is_left_alone() {
    for engine in [ScriptedEngine::tcp().await, ScriptedEngine::unix().await] {
        let mut watch = Watch::live(&engine).await;
        assert!(watch.quiet_for(Duration::from_secs(3600)).await);
        engine.send(container("die"));
        assert_eq!(watch.next().await.action, "die");
        watch.stop();
        let (_, end) = watch.rest().await;
        assert!(matches!(end, End::Stopped));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_skips_nothing_and_repeats_nothing() {
    for hours in [-1, 1] {
        let engine = ScriptedEngine::unix().await;
        let mut watch = Watch::live(&engine).await;
        engine.send(container("die").name("before"));
        assert_eq!(name(&watch.next().await), "before");
        let jump = SignedDuration::from_hours(hours);
        engine.set_clock_ahead(jump);
        let jumped = |name: &str| {
            let event = container("die").name(name);
            let time = event.time_nanos() + i64::try_from(jump.as_nanos()).unwrap();
            event.at_nanos(time)
        };
        engine.send(jumped("after"));
        assert_eq!(name(&watch.next().await), "after");
        engine.close();
        assert_eq!(watch.next().await.action, "engine_lost");
        engine.send(jumped("meanwhile"));
        assert_eq!(watch.next().await.action, "engine_back");
        assert_eq!(name(&watch.next().await), "meanwhile", "{hours} h");
        assert!(watch.quiet_for(Duration::from_secs(60)).await, "{hours} h");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_in_the_middle_of_a_line_tells_the_rest() {
    let mut engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.send_raw(br#"{"Type":"container","Acti"#.to_vec());
    tokio::time::sleep(Duration::from_millis(10)).await;
    engine.stop().await;
    assert_eq!(watch.next().await.attribute("reason"), Some("unreadable line"));
    assert_eq!(watch.next().await.action, "engine_lost");
}
