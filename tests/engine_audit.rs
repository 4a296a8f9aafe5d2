//! What the engine skipped while the stream looked well.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use dockbell::event::{Event, Fact};
use dockbell_tests::engine::{EventLine, REMEMBERS, ScriptedEngine, Watch, container};
use jiff::Timestamp;
use tokio::time::Instant;

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

/// Requests for what the engine remembers.
fn audits(engine: &ScriptedEngine) -> usize {
    engine.requests().iter().filter(|path| path.contains("/events") && path.contains("until=")).count()
}

/// The time of the engine, which goes on with that of the test.
struct Clock {
    begun: Instant,
    at: i64,
}

impl Clock {
    fn new() -> Self {
        Self { begun: Instant::now(), at: container("start").time_nanos() }
    }

    /// The time in so many milliseconds, and a different one for each event.
    fn after(&self, millis: i64) -> i64 {
        static COUNT: AtomicI64 = AtomicI64::new(0);
        let elapsed = i64::try_from(self.begun.elapsed().as_nanos()).unwrap();
        self.at + elapsed + millis * 1_000_000 + COUNT.fetch_add(1, Ordering::Relaxed)
    }

    /// An event that comes so many milliseconds after it happened.
    fn late(&self, millis: i64) -> EventLine {
        container("start").name("late").at_nanos(self.after(-millis))
    }

    /// An event that happens now.
    fn now(&self, name: &str) -> EventLine {
        container("die").name(name).at_nanos(self.after(0))
    }
}

/// Sends as many events as an engine holds for a reader that is behind, drops one, and sends more than it remembers. Returns
/// the times of all of them in this order.
fn overrun(engine: &ScriptedEngine, clock: &Clock) -> (Vec<i64>, i64, Vec<i64>) {
    let behind: Vec<_> = (0..1_100).map(|_| clock.late(400)).collect();
    behind.iter().for_each(|event| engine.send(event));
    let skipped = clock.now("skipped");
    engine.skip(&skipped);
    let after: Vec<_> = (0..300).map(|_| clock.now("after")).collect();
    after.iter().for_each(|event| engine.send(event));
    let times = |events: &[EventLine]| events.iter().map(EventLine::time_nanos).collect();
    (times(&behind), skipped.time_nanos(), times(&after))
}

#[tokio::test(start_paused = true)]
async fn what_was_skipped_behind_late_events_and_is_forgotten_is_a_gap_from_where_the_stream_fell_behind() {
    let engine = ScriptedEngine::unix().await;
    let (clock, mut watch) = (Clock::new(), Watch::live(&engine).await);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (behind, skipped, after) = overrun(&engine, &clock);
    let mut events = Vec::new();
    let gap = loop {
        let event = watch.next().await;
        if event.action == "gap" {
            break event;
        }
        events.push(event);
    };
    assert_eq!(events.len(), behind.len() + after.len(), "what the stream brought");
    let (from, to) = times(&gap);
    assert!((behind[0]..=behind[BATCH]).contains(&from), "{gap:?}");
    assert_eq!(to, after[after.len() - REMEMBERS], "what is remembered is complete");
    assert!(from < skipped && skipped < to);
    assert!(watch.quiet_for(Duration::from_secs(120)).await, "told once");
    // What is shown to be complete does not count again.
    let (_, _, second) = overrun(&engine, &clock);
    let (from, _) = times(&watch.next_of("gap").await);
    assert!(from > to && from < second[0], "{from}");
}

/// The most events that are read at once.
const BATCH: usize = 256;

#[tokio::test(start_paused = true)]
async fn a_few_late_events_are_no_gap_though_the_engine_forgot_what_was_between() {
    let engine = ScriptedEngine::unix().await;
    let (clock, mut watch) = (Clock::new(), Watch::live(&engine).await);
    tokio::time::sleep(Duration::from_secs(10)).await;
    for _ in 0..100 {
        engine.send(clock.late(400));
    }
    for _ in 0..2_000 {
        engine.send(clock.now("in time"));
    }
    for _ in 0..2_100 {
        assert_ne!(watch.next().await.action, "gap");
    }
    assert!(watch.quiet_for(Duration::from_secs(120)).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_skipped_while_the_stream_is_late_is_found_before_the_engine_forgets_it() {
    let engine = ScriptedEngine::unix().await;
    let (clock, mut watch) = (Clock::new(), Watch::live(&engine).await);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let begun = Instant::now();
    // Several rounds within the time in which what the first one skipped may still come.
    for round in 1..=4 {
        engine.skip(clock.now("skipped"));
        (0..150).for_each(|_| engine.send(clock.now("after")));
        engine.send(clock.late(1_000));
        engine.asked("until=", round).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let mut found = 0;
    while found < 4 {
        let event = watch.next().await;
        found += usize::from(name(&event) == "skipped" && event.fact(Fact::Late) == Some("true"));
    }
    assert!(begun.elapsed() < Duration::from_secs(25), "sooner than by the audits of every 30 s");
    while let Ok(event) = tokio::time::timeout(Duration::from_secs(60), watch.next()).await {
        assert_ne!(name(&event), "skipped", "each once: {event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_still_on_its_way_is_not_missing_however_long_the_stream_is_behind() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let (old, last) = (container("start").name("old"), container("die").name("the-last"));
    // The engine remembers it, and has a long stream to send before.
    engine.skip(&last);
    for number in 0..200_i64 {
        let line = old.clone().at_nanos(old.time_nanos() - 1_000_000_000_000 + number).line() + "\n";
        engine.send_lines([line.into()]);
        assert_eq!(name(&watch.next().await), "old");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    engine.send_raw(last.line() + "\n");
    let event = watch.next().await;
    assert_eq!((name(&event), event.fact(Fact::Late)), ("the-last", None));
    assert!(watch.quiet_for(Duration::from_secs(120)).await, "no gap");
}

#[tokio::test(start_paused = true)]
async fn an_engine_whose_events_come_in_time_is_asked_twice_a_minute_and_one_whose_clock_was_set_back_hardly_more() {
    let engine = ScriptedEngine::unix().await;
    let (clock, mut watch) = (Clock::new(), Watch::live(&engine).await);
    let mut asked = Vec::new();
    for behind in [0, 5_000] {
        let before = audits(&engine);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(300) {
            engine.send(clock.late(behind));
            assert_eq!(watch.next().await.action, "start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        asked.push(audits(&engine) - before);
    }
    assert!((8..=11).contains(&asked[0]) && (8..=25).contains(&asked[1]), "{asked:?} in five minutes");
}
