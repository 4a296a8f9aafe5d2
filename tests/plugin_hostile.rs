//! Plugins that mean harm: the stream goes on, other routes are not held back, memory stays bounded, and the message names
//! the plugin and the limit. What each limit does in detail is tested beside: `plugin_limits`, `plugin_answers`, `plugin_memory`,
//! `plugin_wasi`, `plugin_resources`, `plugin_bombs`; attacks on the program itself in `plugin_hostile_program`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use dockbell::config::grants::Dir;
use dockbell::config::{GroupBy, OnError, RouteConfig};
use dockbell::message::Message;
use dockbell::plugin::Plugin;
use dockbell::route::Route;
use dockbell::route::filters::Guarded;
use dockbell::route::formatter::RouteFormatter;
use dockbell::route::group::Digest;
use dockbell::route::plain::Plain;
use dockbell_tests::attacks::{churns_state, formats_empty_lines, hoards_bodies, hoards_files};
use dockbell_tests::guests::{Guest, event, load};
use jiff::Timestamp;

const ENDLESS: &str = "(loop $again (br $again)) unreachable";
const ALLOCATES: &str = "(loop $again (if (i32.eq (i32.const -1) (memory.grow (i32.const 16))) (then unreachable)) (br $again)) unreachable";
const TIMEOUT: Duration = Duration::from_millis(100);

fn plugin(guest: &Guest) -> Arc<Plugin> {
    let plugin = load(&guest.component(), |config| {
        config.timeout = TIMEOUT;
        config.memory = 8 << 20;
    });
    plugin.unwrap()
}

/// A plugin whose honest work may take longer than that of those who loop.
fn patient(guest: &Guest, memory: usize) -> Arc<Plugin> {
    let plugin = load(&guest.component(), |config| {
        config.timeout = Duration::from_secs(30);
        config.memory = memory;
    });
    plugin.unwrap()
}

fn filter(accept: &str) -> Guest {
    let mut guest = Guest::filter();
    guest
        .field("(table $table 10 funcref)")
        .field("(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (call $deeper (local.get 0))))")
        .accept(accept);
    guest
}

fn formatter(format: impl FnOnce(&mut Guest) -> String) -> Guest {
    let mut guest = Guest::formatter();
    let body = format(&mut guest);
    guest.format(&body);
    guest
}

fn plain() -> Plain {
    Plain { hostname: "host".to_owned(), zone: jiff::tz::TimeZone::UTC }
}

async fn route(filter: Option<Arc<Plugin>>, formatter: Option<Arc<Plugin>>) -> Route {
    let config = RouteConfig {
        engines: vec![],
        filters: vec![],
        formatter: String::new(),
        to: vec![],
        group_by: GroupBy::None,
        settle: Duration::ZERO,
        window: Duration::ZERO,
        window_max: Duration::ZERO,
    };
    let mut filters = Vec::new();
    if let Some(filter) = filter {
        filters.push(Guarded::start(filter, OnError::Pass).await.unwrap());
    }
    let formatter = match formatter {
        Some(formatter) => RouteFormatter::start(formatter, plain()).await.unwrap(),
        None => RouteFormatter::plain(plain()),
    };
    Route::new("default", &[], filters, Digest::new("default", &config), formatter)
}

/// What a route tells about as many events.
async fn told(route: &mut Route, events: u64) -> Vec<Message> {
    let now = Timestamp::now();
    let event = Arc::new(event());
    let mut told = Vec::new();
    for seq in 1..=events {
        route.take_one(seq, &event, now).await;
        while let Some(turn) = route.turn(now) {
            if let Some(batch) = turn.batch {
                told.extend(route.messages(batch, now).await);
            }
        }
    }
    told
}

#[tokio::test]
async fn whatever_a_filter_does_its_events_are_told_and_the_message_names_it_and_the_limit() {
    for (accept, limit) in [
        (ENDLESS, "it took longer than 100 ms"),
        (ALLOCATES, "it wanted more than its 8 MiB of memory"),
        (
            "(drop (table.grow $table (ref.null func) (i32.const 200000))) unreachable",
            "it wanted more than 100000 table entries",
        ),
        ("(call $deeper (i32.const 1))", "call stack exhausted"),
        ("unreachable", "it aborted (`unreachable`)"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "integer divide by zero"),
        ("(i32.load (i32.const -8))", "out of bounds memory access"),
        // An error of 1 GiB, and one that is nowhere in its memory.
        ("(call $error (i32.const 0) (i32.const 0x40000000))", "out of bounds"),
        ("(call $error (i32.const -1) (i32.const 100))", "out of bounds"),
        ("(i32.const -4)", "out of bounds"),
        ("(i32.const 17)", "aligned"),
    ] {
        let mut route = route(Some(plugin(&filter(accept))), None).await;
        let messages = told(&mut route, 3).await;
        assert_eq!(messages.len(), 3, "{accept}");
        for message in messages {
            let text = message.notification.text().to_owned();
            assert!(text.contains("note: filter `guest` failed, 1 event was passed unexamined: "), "{accept}: {text}");
            assert!(text.contains(limit), "{accept}: {text}");
        }
    }
}

#[tokio::test]
async fn whatever_a_formatter_does_the_message_is_made_and_names_it_and_the_limit() {
    let with_text = |call: &'static str| {
        move |guest: &mut Guest| {
            let text = guest.text("text");
            call.replace("TEXT", &text)
        }
    };
    let invalid = formatter(|guest| {
        let (subject, text) = (guest.bytes(b"sub\xffject"), guest.text("text"));
        format!("(call $message {subject} {text})")
    });
    let nothing = formatter(|_| "(call $list (i32.const 0) (i32.const 0))".to_owned());
    let gibibyte = formatter(with_text("(call $message TEXT (i32.const 0) (i32.const 0x40000000))"));
    let million = formatter(|_| "(call $list (i32.const 0) (i32.const 1000000))".to_owned());
    for (guest, limit) in [
        (formatter(|_| ENDLESS.to_owned()), "it took longer than 100 ms"),
        (formatter(|_| ALLOCATES.to_owned()), "it wanted more than its 8 MiB of memory"),
        (formatter(|_| "unreachable".to_owned()), "it aborted (`unreachable`)"),
        (nothing, "it made no message"),
        (invalid, "utf-8"),
        (gibibyte, "out of bounds"),
        (million, "out of bounds"),
    ] {
        let mut route = route(None, Some(plugin(&guest))).await;
        for message in told(&mut route, 2).await {
            let text = message.notification.text().to_owned();
            assert!(text.contains("note: formatter `guest` failed, this is plain text: "), "{text}");
            assert!(text.contains(limit), "{limit}: {text}");
            assert!(text.contains("shop-web-1 die (exit 137, crashed)"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_text_of_a_gibibyte_that_is_really_there_is_not_copied() {
    let guest = formatter(|guest| {
        let subject = guest.text("large");
        // 16,383 pages are a gibibyte less two.
        format!(
            "(drop (memory.grow (i32.const 16381))) (call $message {subject} (i32.const 65536) (i32.const 0x3ff00000))"
        )
    });
    let mut route = route(None, Some(patient(&guest, 1 << 30))).await;
    let messages = told(&mut route, 1).await;
    let text = messages[0].notification.text();
    assert!(text.contains("it is more than the 16 MiB that a call may hand over"), "{text}");
}

#[tokio::test]
async fn a_filter_that_traps_first_always_or_every_third_time_costs_only_these_verdicts() {
    // Counts in a text of the event's own making: the detail's length is the number of the event.
    let on = |condition: &str| {
        filter(&format!(
            "(if {condition} (then unreachable)) (call $answer (i32.const 0))",
            condition = condition.replace("NUMBER", "(i32.load offset=28 (local.get $event))")
        ))
    };
    for (condition, passed) in [
        ("(i32.eqz NUMBER)", vec![0]),
        ("(i32.eqz (i32.rem_u NUMBER (i32.const 3)))", vec![0, 3, 6, 9]),
        ("(i32.const 1)", (0..10).collect()),
    ] {
        let mut route = route(Some(patient(&on(condition), 8 << 20)), None).await;
        let now = Timestamp::now();
        let mut told = Vec::new();
        for number in 0..10_usize {
            let event = Arc::new(dockbell::event::Event { detail: "x".repeat(number).into(), ..event() });
            route.take_one(number as u64 + 1, &event, now).await;
            while let Some(turn) = route.turn(now) {
                told.extend(turn.batch.into_iter().flat_map(|batch| batch.events).map(|event| event.detail.len()));
            }
        }
        assert_eq!(told, passed, "{condition}");
    }
}

#[tokio::test]
async fn html_with_a_script_stays_in_the_form_for_html() {
    let guest = formatter(|guest| {
        let (plain, html) = (guest.text("text/plain"), guest.text("text/html"));
        let (subject, text) = (guest.text("<script>alert(1)</script>"), guest.text("text"));
        let script = guest.text("<p>hi</p><script>fetch('https://evil')</script>");
        guest.field("(func $pair (param $at i32) (param $text i32) (param $len i32) (i32.store (local.get $at) (local.get $text)) (i32.store offset=4 (local.get $at) (local.get $len)))");
        format!(
            "(call $pair (i32.const 256) {subject}) (call $pair (i32.const 264) (i32.const 300) (i32.const 2))
             (call $pair (i32.const 300) {plain}) (call $pair (i32.const 308) {text})
             (call $pair (i32.const 316) {html}) (call $pair (i32.const 324) {script})
             (call $list (i32.const 256) (i32.const 1))"
        )
    });
    let mut route = route(None, Some(patient(&guest, 8 << 20))).await;
    let messages = told(&mut route, 1).await;
    let made = &messages[0].notification;
    assert_eq!(made.text(), "text");
    assert!(made.alternative("text/html").unwrap().contains("<script>"), "readers of mail run none");
    assert_eq!(made.subject, "<script>alert(1)</script>", "a subject is text everywhere");
}

/// In the worst case all routes share one core: there the time that a hostile plugin takes is missing to the others. What is
/// counted is processor time, which other programs on the machine do not change; the bench measures what others get done.
#[tokio::test(flavor = "current_thread")]
async fn a_hostile_plugin_takes_less_than_a_tenth_of_the_time_from_other_routes() {
    const MINUTES: u32 = 5;
    for accept in [ENDLESS, ALLOCATES, "unreachable", "(call $deeper (i32.const 1))"] {
        let mut filter = Guarded::start(plugin(&filter(accept)), OnError::Pass).await.unwrap();
        let event = event();
        let begun = processor_time();
        for _ in 0..60 * MINUTES {
            for _ in 0..100 {
                filter.accept(&event).await;
            }
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::time::resume();
        }
        let taken = processor_time() - begun;
        println!("{accept}: {taken:?} in {MINUTES} minutes");
        // Its `timeout` is a tenth of the default of a second, and so is what it may take.
        let tenth = Duration::from_secs(60) * MINUTES / 10 / 10;
        assert!(taken < tenth, "{accept}: took {taken:?} in {MINUTES} minutes");
    }
}

/// Beside an attacker a route needs as much processor time for its events as beside another honest one. The least of several
/// rounds counts: what a round needs more is the machine's doing.
#[tokio::test(flavor = "current_thread")]
async fn beside_a_hostile_plugin_a_route_needs_a_tenth_more_processor_time_at_most() {
    const ROUNDS: usize = 40;
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), "content").unwrap();
    let granted = |guest: &Guest| {
        let plugin = load(&guest.component(), |config| {
            config.timeout = TIMEOUT;
            config.memory = 8 << 20;
            config.grants.state = Some("64 KiB".parse().unwrap());
            config.grants.dirs = vec![Dir { host: folder.path().to_owned(), guest: "/data".to_owned(), write: false }];
            config.grants.http = Some(Vec::new());
        });
        plugin.unwrap()
    };
    let (honest, formatter) = (granted(&Guest::filter()), granted(&Guest::formatter()));
    let needs = async |filter: &Arc<Plugin>, made: &Arc<Plugin>| {
        let mut neighbour = route(Some(Arc::clone(filter)), Some(Arc::clone(made))).await;
        let neighbour = tokio::spawn(async move {
            loop {
                told(&mut neighbour, 1).await;
                tokio::task::yield_now().await;
            }
        });
        let mut route = route(Some(Arc::clone(&honest)), Some(Arc::clone(&formatter))).await;
        let needed = tokio::spawn(metered(async move {
            for _ in 0..10 {
                told(&mut route, 500).await;
                tokio::task::yield_now().await;
            }
        }));
        let needed = needed.await.unwrap();
        neighbour.abort();
        needed
    };
    for (attack, filter, made) in [
        ("loops", granted(&filter(ENDLESS)), Arc::clone(&formatter)),
        ("allocates", granted(&filter(ALLOCATES)), Arc::clone(&formatter)),
        ("churns its state", granted(&churns_state()), Arc::clone(&formatter)),
        ("hoards files", granted(&hoards_files("file")), Arc::clone(&formatter)),
        ("hoards bodies", granted(&hoards_bodies()), Arc::clone(&formatter)),
        ("formats empty lines", Arc::clone(&honest), granted(&formats_empty_lines())),
    ] {
        let (mut alone, mut beside) = (Duration::MAX, Duration::MAX);
        for round in 0..ROUNDS {
            alone = alone.min(needs(&honest, &formatter).await);
            beside = beside.min(needs(&filter, &made).await);
            if round >= 2 && beside < alone + alone / 10 {
                break;
            }
        }
        assert!(beside < alone + alone / 10, "{attack}: {beside:?} instead of {alone:?}");
        println!("{attack}: {beside:?} beside it, {alone:?} beside an honest plugin");
    }
}

/// The processor time that the polls of a future take.
async fn metered(work: impl Future<Output = ()>) -> Duration {
    let (mut work, mut taken) = (Box::pin(work), Duration::ZERO);
    std::future::poll_fn(|context| {
        let begun = processor_time();
        let polled = work.as_mut().poll(context);
        taken += processor_time() - begun;
        polled
    })
    .await;
    taken
}

/// Of this thread, in which the guests of the test run.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}
