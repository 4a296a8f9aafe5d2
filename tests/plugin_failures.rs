//! A plugin that fails costs one call, never the stream: a fresh instance, the filter's `on-error`, the formatter's plain text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use dockbell::config::OnError;
use dockbell::event::Event;
use dockbell::plugin::{CallError, Filter, Plugin};
use dockbell::route::filters::Guarded;
use dockbell::route::formatter::RouteFormatter;
use dockbell::route::plain::Plain;
use dockbell_tests::guests::{Guest, batch, event, load};

/// The seconds that a filter is left alone after five failures in a row.
const REST: Duration = Duration::from_secs(30);
const ABORTED: &str = "it trapped: it aborted (`unreachable`)";

fn loaded(guest: &Guest) -> Arc<Plugin> {
    load(&guest.component(), |config| config.timeout = Duration::from_secs(30)).unwrap()
}

/// An event whose action has three letters.
fn die() -> Event {
    event()
}

/// An event whose action has more.
fn start() -> Event {
    Event { action: "start".into(), ..event() }
}

/// A filter that traps on `die` and refuses everything else.
fn trapping() -> Guest {
    let mut guest = Guest::filter();
    guest.accept(
        "(if (i32.eq (i32.load offset=20 (local.get $event)) (i32.const 3)) (then unreachable))
         (call $answer (i32.const 0))",
    );
    guest
}

/// A filter that counts its calls; `body` follows and can use `$calls`.
fn counting(body: &str) -> Guest {
    let mut guest = Guest::filter();
    guest.field("(global $calls (mut i32) (i32.const 0))");
    guest.accept(&format!("(global.set $calls (i32.add (global.get $calls) (i32.const 1))) {body}"));
    guest
}

fn plain() -> Plain {
    Plain { hostname: "host".to_owned(), zone: jiff::tz::TimeZone::UTC }
}

#[tokio::test]
async fn a_filter_keeps_its_state_from_call_to_call() {
    let guest = counting("(call $answer (i32.eq (global.get $calls) (i32.const 100)))");
    let mut filter = Filter::start(loaded(&guest)).await.unwrap();
    for call in 1..=101 {
        assert_eq!(filter.accept(&event()).await, Ok(call == 100), "{call}");
    }
}

#[tokio::test]
async fn two_routes_with_the_same_plugin_do_not_share_state() {
    let plugin = loaded(&counting("(call $answer (i32.eq (global.get $calls) (i32.const 1)))"));
    let mut one = Filter::start(Arc::clone(&plugin)).await.unwrap();
    let mut other = Filter::start(plugin).await.unwrap();
    assert_eq!(one.accept(&event()).await, Ok(true));
    assert_eq!(one.accept(&event()).await, Ok(false));
    assert_eq!(other.accept(&event()).await, Ok(true));
}

#[tokio::test]
async fn after_a_trap_the_next_call_has_fresh_state() {
    let guest = counting(
        "(if (i32.eq (i32.load offset=20 (local.get $event)) (i32.const 3)) (then unreachable))
         (call $answer (i32.eq (global.get $calls) (i32.const 1)))",
    );
    let mut filter = Filter::start(loaded(&guest)).await.unwrap();
    let trapped = Err(CallError::Trapped("it aborted (`unreachable`)".to_owned()));
    // The first event, then one in the middle, then two in a row.
    for (event, expected) in [
        (die(), trapped.clone()),
        (start(), Ok(true)),
        (start(), Ok(false)),
        (die(), trapped.clone()),
        (start(), Ok(true)),
        (die(), trapped.clone()),
        (die(), trapped.clone()),
        (start(), Ok(true)),
        (start(), Ok(false)),
    ] {
        assert_eq!(filter.accept(&event).await, expected);
    }
}

#[tokio::test]
async fn a_trap_on_every_third_event_leaves_the_others() {
    let guest =
        counting("(if (i32.eq (global.get $calls) (i32.const 3)) (then unreachable)) (call $answer (i32.const 0))");
    let mut filter = Guarded::start(loaded(&guest), OnError::Pass).await.unwrap();
    let mut passed = 0;
    for _ in 0..300 {
        passed += u32::from(filter.accept(&event()).await);
    }
    // Never five failures in a row: the filter is asked every time.
    assert_eq!(passed, 100);
    let note = filter.take_note().unwrap();
    assert_eq!(note, format!("filter `guest` failed, 100 events were passed unexamined: {ABORTED}"));
    assert_eq!(filter.take_note(), None);
}

#[tokio::test]
async fn an_error_that_is_answered_leaves_the_state() {
    let mut guest = counting("");
    let why = guest.text("three letters are too few");
    guest.accept(&format!(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (if (i32.eq (i32.load offset=20 (local.get $event)) (i32.const 3)) (then (return (call $error {why}))))
         (call $answer (i32.eq (global.get $calls) (i32.const 2)))"
    ));
    let mut filter = Filter::start(loaded(&guest)).await.unwrap();
    let error = filter.accept(&die()).await.unwrap_err();
    assert_eq!(error.to_string(), "it answered with an error: three letters are too few");
    assert_eq!(filter.accept(&start()).await, Ok(true));
}

#[tokio::test]
async fn a_fresh_instance_is_configured_before_it_is_called() {
    let mut guest = counting("");
    guest.field("(global $configured (mut i32) (i32.const 0))");
    guest.configure("(global.set $configured (local.get $len)) (call $answer (i32.const 0))").accept(
        "(if (i32.eq (i32.load offset=20 (local.get $event)) (i32.const 3)) (then unreachable))
         (call $answer (i32.eq (global.get $configured) (i32.const 2)))",
    );
    let mut filter = Filter::start(loaded(&guest)).await.unwrap();
    filter.accept(&die()).await.unwrap_err();
    assert_eq!(filter.accept(&start()).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn on_error_decides_about_the_event_and_the_message_says_so() {
    for (on_error, passes, verdict) in [(OnError::Pass, true, "passed"), (OnError::Drop, false, "dropped")] {
        let mut filter = Guarded::start(loaded(&trapping()), on_error).await.unwrap();
        assert_eq!(filter.take_note(), None);
        assert_eq!(filter.accept(&die()).await, passes);
        let note = filter.take_note().unwrap();
        assert_eq!(note, format!("filter `guest` failed, 1 event was {verdict} unexamined: {ABORTED}"));
        assert!(!filter.accept(&start()).await);
        assert_eq!(filter.take_note(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn after_five_failures_in_a_row_a_filter_is_left_alone_for_30_seconds() {
    let mut filter = Guarded::start(loaded(&trapping()), OnError::Pass).await.unwrap();
    for _ in 0..4 {
        filter.accept(&die()).await;
    }
    assert!(!filter.accept(&start()).await, "after four failures it is still asked");
    for _ in 0..5 {
        filter.accept(&die()).await;
    }
    assert!(filter.accept(&start()).await, "after five failures in a row it is not asked");
    tokio::time::advance(REST - Duration::from_millis(1)).await;
    assert!(filter.accept(&start()).await, "it is left alone for 30 seconds");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!filter.accept(&start()).await, "then it is asked again");
    for _ in 0..4 {
        filter.accept(&die()).await;
    }
    assert!(!filter.accept(&start()).await, "and one answer has made good for the failures");
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_fails_again_after_its_rest_is_left_alone_at_once() {
    let mut filter = Guarded::start(loaded(&trapping()), OnError::Drop).await.unwrap();
    for _ in 0..5 {
        filter.accept(&die()).await;
    }
    tokio::time::advance(REST).await;
    assert!(!filter.accept(&die()).await);
    let asked = filter.accept(&start()).await;
    assert!(!asked);
    assert!(filter.take_note().unwrap().contains(" 7 events were dropped unexamined"));
}

#[tokio::test(start_paused = true)]
async fn events_that_pass_while_a_filter_is_left_alone_are_told_in_every_message() {
    let mut filter = Guarded::start(loaded(&trapping()), OnError::Drop).await.unwrap();
    for _ in 0..5 {
        filter.accept(&die()).await;
    }
    assert!(filter.take_note().unwrap().contains(" 5 events were dropped"));
    assert_eq!(filter.take_note(), None);
    for _ in 0..3 {
        filter.accept(&start()).await;
    }
    let note = filter.take_note().unwrap();
    assert_eq!(note, format!("filter `guest` failed, 3 events were dropped unexamined: {ABORTED}"));
}

#[tokio::test]
async fn a_filter_that_always_times_out_does_not_hold_the_route_for_long() {
    let mut guest = Guest::filter();
    guest.accept("(loop $again (br $again)) unreachable");
    let plugin = load(&guest.component(), |config| config.timeout = Duration::from_millis(20)).unwrap();
    let mut filter = Guarded::start(plugin, OnError::Pass).await.unwrap();
    let started = std::time::Instant::now();
    for _ in 0..10_000 {
        assert!(filter.accept(&event()).await);
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let note = filter.take_note().unwrap();
    assert_eq!(note, "filter `guest` failed, 10000 events were passed unexamined: it took longer than 20 ms");
}

#[tokio::test]
async fn a_formatter_that_fails_is_replaced_by_plain_text_that_says_why() {
    let mut failing = Guest::formatter();
    let why = failing.text("the template is broken");
    failing.format(&format!("(call $error {why})"));
    let mut trapping = Guest::formatter();
    trapping.format("unreachable");
    let mut silent = Guest::formatter();
    silent.format("(call $list (i32.const 0) (i32.const 0))");
    let mut greedy = Guest::formatter();
    greedy.format("(drop (memory.grow (i32.const 9999))) unreachable");
    for (guest, reason) in [
        (failing, "it answered with an error: the template is broken"),
        (trapping, ABORTED),
        (silent, "its answer cannot be used: it made no message"),
        (greedy, "it wanted more than its 64 MiB of memory"),
    ] {
        let mut formatter = RouteFormatter::start(loaded(&guest), plain()).await.unwrap();
        for _ in 0..2 {
            let made = formatter.format(batch(3), None).await;
            assert_eq!(made.len(), 1);
            let (subject, text) = (&made[0].subject, made[0].text());
            assert_eq!(subject, "[host] 3 events: 3 container die");
            assert_eq!(text.matches("shop-web-1 die (exit 137, crashed)").count(), 3, "{text}");
            let note = format!("note: formatter `guest` failed, this is plain text: {reason}");
            assert!(text.ends_with(&note), "{text}");
        }
    }
}

#[tokio::test]
async fn a_formatter_that_fails_once_makes_the_next_message_again() {
    let mut guest = Guest::formatter();
    let (subject, text) = (guest.text("made by the guest"), guest.text("text"));
    guest.format(&format!(
        "(if (i32.eq (local.get $total) (i32.const 1)) (then unreachable)) (call $message {subject} {text})"
    ));
    let mut formatter = RouteFormatter::start(loaded(&guest), plain()).await.unwrap();
    assert!(formatter.format(batch(1), None).await[0].subject.starts_with("[host] "));
    assert_eq!(formatter.format(batch(2), None).await[0].subject, "made by the guest");
}
