//! Runs that begin and end where they were told to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::time::Duration;

use dockbell::engine::{End, Span};
use dockbell::event::{Event, Fact};
use dockbell_tests::engine::{ScriptedEngine, Watch, container};
use jiff::{SignedDuration, Timestamp};

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.attribute("name").unwrap_or(&event.action)).collect()
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).unwrap()
}

fn span(since: Option<Timestamp>, until: Option<Timestamp>) -> Span {
    Span { since, until }
}

async fn with_history() -> ScriptedEngine {
    let engine = ScriptedEngine::unix().await;
    for (name, seconds) in [("old", 300), ("a", 200), ("b", 100), ("new", 10)] {
        engine.send(container("die").name(name).at(ago(seconds)));
    }
    engine
}

#[tokio::test]
async fn a_run_in_the_past_tells_what_happened_then_and_ends() {
    let engine = with_history().await;
    let watch = Watch::start(&engine, span(Some(ago(250)), Some(ago(50))), 1 << 20);
    let (events, end) = watch.rest().await;
    assert!(matches!(end, End::Complete), "{end:?}");
    assert_eq!(names(&events), ["a", "b"]);
    assert!(events.iter().all(|event| event.fact(Fact::Late).is_none()));
    let asked = engine.requests().into_iter().find(|path| path.contains("/events")).unwrap();
    assert!(asked.contains("since=") && asked.contains("&until="), "{asked}");
    assert!(
        asked.split(['=', '&']).skip(1).step_by(2).all(|time| time.split_once('.').unwrap().1.len() == 9),
        "{asked}"
    );
}

#[tokio::test]
async fn history_first_then_live_until_it_is_stopped() {
    let engine = with_history().await;
    let mut watch = Watch::start(&engine, span(Some(ago(150)), None), 1 << 20);
    assert_eq!(watch.next().await.attribute("name"), Some("b"));
    assert_eq!(watch.next().await.attribute("name"), Some("new"));
    engine.send(container("die").name("live"));
    assert_eq!(watch.next().await.attribute("name"), Some("live"));
}

#[tokio::test]
async fn a_run_into_the_future_ends_then() {
    let engine = ScriptedEngine::unix().await;
    let watch = Watch::start(&engine, span(None, Some(ago(-1))), 1 << 20);
    engine.subscribed(1).await;
    engine.send(container("die").name("in time"));
    let began = std::time::Instant::now();
    let (events, end) = watch.rest().await;
    assert!(matches!(end, End::Complete), "{end:?}");
    assert_eq!(names(&events), ["in time"]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_by_itself_where_the_engine_does_not_close_the_stream() {
    let engine = with_history().await;
    engine.never_close();
    let watch = Watch::start(&engine, span(Some(ago(250)), Some(ago(50))), 1 << 20);
    engine.subscribed(1).await;
    let began = tokio::time::Instant::now();
    engine.send(container("die").name("too late"));
    let (events, end) = watch.rest().await;
    assert!(matches!(end, End::Complete), "{end:?}");
    assert_eq!(names(&events), ["a", "b"]);
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_connection_breaks_goes_on() {
    let engine = ScriptedEngine::unix().await;
    let until = Timestamp::now().checked_add(SignedDuration::from_secs(40)).unwrap();
    let mut watch = Watch::start(&engine, span(Some(ago(60)), Some(until)), 1 << 20);
    engine.subscribed(1).await;
    engine.send(container("die").name("a"));
    assert_eq!(watch.next().await.attribute("name"), Some("a"));
    engine.close();
    assert_eq!(watch.next().await.action, "engine_lost");
    engine.send(container("die").name("b"));
    assert_eq!(watch.next().await.action, "engine_back");
    let (events, end) = watch.rest().await;
    assert!(matches!(end, End::Complete), "{end:?}");
    assert_eq!(names(&events), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_engine_is_gone_says_that_it_is_incomplete() {
    let mut engine = ScriptedEngine::unix().await;
    engine.stop().await;
    let watch = Watch::start(&engine, span(Some(ago(3600)), Some(ago(0))), 1 << 20);
    let (events, end) = watch.rest().await;
    assert_eq!(names(&events), ["engine_lost"]);
    let End::Incomplete(error) = end else { panic!("{end:?}") };
    assert!(error.to_string().contains("there is no socket"), "{error}");
}

#[tokio::test]
async fn a_run_that_brings_all_the_engine_remembers_says_that_there_may_be_more() {
    let engine = ScriptedEngine::unix().await;
    for second in (0..300).rev() {
        engine.send(container("start").at(ago(second + 10)));
    }
    let (events, end) = Watch::start(&engine, span(Some(ago(3600)), Some(ago(1))), 1 << 20).rest().await;
    assert!(matches!(end, End::Complete), "{end:?}");
    assert_eq!(events.len(), 257);
    let gap = events.last().unwrap();
    assert_eq!(gap.attribute("reason"), Some("the engine no longer remembers what happened"));

    let (events, _) = Watch::start(&engine, span(Some(ago(200)), Some(ago(1))), 1 << 20).rest().await;
    assert!(events.iter().all(|event| event.action == "start"), "fewer than it remembers: nothing is missing");
    engine.be_podman();
    let (events, _) = Watch::start(&engine, span(Some(ago(3600)), Some(ago(1))), 1 << 20).rest().await;
    assert!(events.iter().all(|event| event.action == "start"), "Podman reads a journal");
}
