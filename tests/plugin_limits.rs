//! How much time and memory a plugin gets, and what happens when it wants more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dockbell::plugin::{CallError, Filter, Formatter, Refused};
use dockbell_tests::guests::{Guest, batch, event, load};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

const ENDLESS: &str = "(loop $again (br $again)) unreachable";
const TIMEOUT: Duration = Duration::from_millis(100);
/// The machine that runs the tests may be busy; a call that is not interrupted takes for ever.
const PATIENCE: Duration = Duration::from_secs(10);

async fn filter(guest: &Guest) -> Result<Filter, Refused> {
    Filter::start(load(&guest.component(), |config| config.timeout = PATIENCE).unwrap()).await
}

/// Memory for 1 MiB and a call that grows it by `pages`, answering whether that worked.
fn growing(pages: u32) -> Guest {
    let mut guest = Guest::filter();
    guest.accept(&format!("(call $answer (i32.ne (i32.const -1) (memory.grow (i32.const {pages}))))"));
    guest
}

async fn with_memory(guest: &Guest, bytes: usize) -> Result<Filter, Refused> {
    let plugin = load(&guest.component(), |config| {
        config.memory = bytes;
        config.timeout = PATIENCE;
    });
    Filter::start(plugin.unwrap()).await
}

#[track_caller]
fn assert_in_time(started: Instant) {
    let took = started.elapsed();
    assert!(took >= TIMEOUT, "it ended after {took:?}, before its time was up");
    assert!(took < PATIENCE, "it was stopped only after {took:?}");
}

#[tokio::test]
async fn an_endless_loop_in_a_call_is_stopped_and_the_next_call_works() {
    let mut guest = Guest::filter();
    // Endless for `die`, whose name has three letters.
    guest.accept(&format!(
        "(if (i32.eq (i32.load offset=20 (local.get $event)) (i32.const 3)) (then {ENDLESS})) (call $answer (i32.const 1))"
    ));
    let plugin = load(&guest.component(), |config| config.timeout = TIMEOUT).unwrap();
    let mut filter = Filter::start(plugin).await.unwrap();
    let started = Instant::now();
    let error = filter.accept(&event()).await.unwrap_err();
    assert_in_time(started);
    assert_eq!(error, CallError::TimedOut(TIMEOUT));
    assert_eq!(error.to_string(), "it took longer than 100 ms\nhint: `timeout` in the plugin's table allows more");
    let mut start = event();
    start.action = "start".into();
    assert_eq!(filter.accept(&start).await, Ok(true));
}

#[tokio::test]
async fn an_endless_loop_in_a_formatter_is_stopped() {
    let mut guest = Guest::formatter();
    guest.format(ENDLESS);
    let plugin = load(&guest.component(), |config| config.timeout = TIMEOUT).unwrap();
    let mut formatter = Formatter::start(plugin).await.unwrap();
    let started = Instant::now();
    assert_eq!(formatter.format(&batch(1)).await, Err(CallError::TimedOut(TIMEOUT)));
    assert_in_time(started);
}

#[tokio::test]
async fn an_endless_loop_at_the_start_or_in_configure_stops_the_start() {
    let mut at_start = Guest::filter();
    at_start.start("(loop $again (br $again))");
    let mut in_configure = Guest::filter();
    in_configure.configure(ENDLESS);
    for guest in [at_start, in_configure] {
        let plugin = load(&guest.component(), |config| config.timeout = TIMEOUT).unwrap();
        let started = Instant::now();
        let message = Filter::start(plugin).await.unwrap_err().to_string();
        assert_in_time(started);
        assert!(
            message.starts_with("plugin `guest` cannot be started: it took longer than 100 ms\nhint: "),
            "{message}"
        );
    }
}

#[tokio::test]
async fn an_endless_loop_while_the_host_hands_an_event_over_is_stopped() {
    let mut guest = Guest::filter();
    guest.realloc(ENDLESS);
    let plugin = load(&guest.component(), |config| config.timeout = TIMEOUT).unwrap();
    let started = Instant::now();
    let message = Filter::start(plugin).await.unwrap_err().to_string();
    assert_in_time(started);
    assert!(message.contains("it took longer than 100 ms"), "{message}");
}

#[tokio::test(flavor = "current_thread")]
async fn other_tasks_go_on_while_a_guest_loops() {
    let mut guest = Guest::filter();
    guest.accept(ENDLESS);
    let limit = Duration::from_millis(600);
    let plugin = load(&guest.component(), |config| config.timeout = limit).unwrap();
    let mut filter = Filter::start(plugin).await.unwrap();
    // A route is a task of its own; what the runtime itself waits for would have its turn more often.
    let ticks = Arc::new(AtomicU32::new(0));
    let ticking = tokio::spawn({
        let ticks = Arc::clone(&ticks);
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                ticks.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let started = Instant::now();
    let call = tokio::spawn(async move { filter.accept(&event()).await });
    assert_eq!(call.await.unwrap(), Err(CallError::TimedOut(limit)));
    assert!(started.elapsed() < PATIENCE);
    ticking.abort();
    // A guest gives way every 20 ms: up to 30 times.
    let ticks = ticks.load(Ordering::Relaxed);
    assert!(ticks >= 5, "another task had its turn only {ticks} times");
}

#[tokio::test]
async fn memory_beyond_the_limit_is_refused_and_a_guest_that_copes_goes_on() {
    let mut filter = with_memory(&growing(8), 1 << 20).await.unwrap();
    // 2 pages of 64 KiB at the start: 14 more fit into 1 MiB, but not 16.
    assert_eq!(filter.accept(&event()).await, Ok(true));
    assert_eq!(filter.accept(&event()).await, Ok(false));
    assert_eq!(filter.accept(&event()).await, Ok(false));
}

#[tokio::test]
async fn a_guest_that_aborts_for_lack_of_memory_is_told_its_limit() {
    let mut guest = Guest::filter();
    guest.accept(
        "(loop $again (if (i32.eq (i32.const -1) (memory.grow (i32.const 16))) (then unreachable)) (br $again)) unreachable",
    );
    let mut filter = with_memory(&guest, 8 << 20).await.unwrap();
    let error = filter.accept(&event()).await.unwrap_err();
    assert_eq!(error, CallError::OutOfMemory(8 << 20));
    assert_eq!(
        error.to_string(),
        "it wanted more than its 8 MiB of memory\nhint: `memory` in the plugin's table allows more"
    );
}

#[tokio::test]
async fn a_refusal_that_was_survived_does_not_explain_a_later_trap() {
    let mut guest = Guest::filter();
    let why = guest.text("too large for me");
    // First an error for lack of memory, then an unrelated trap.
    guest.field("(global $calls (mut i32) (i32.const 0))").accept(&format!(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (if (i32.gt_u (global.get $calls) (i32.const 1)) (then unreachable))
         (drop (memory.grow (i32.const 1000)))
         (call $error {why})"
    ));
    let mut filter = with_memory(&guest, 1 << 20).await.unwrap();
    assert_eq!(filter.accept(&event()).await, Err(CallError::Failed("too large for me".to_owned())));
    let error = filter.accept(&event()).await.unwrap_err();
    assert!(matches!(error, CallError::Trapped(_)), "{error}");
}

#[tokio::test]
async fn a_growth_that_fails_for_another_reason_is_not_counted() {
    let mut guest = Guest::filter();
    // Twenty times 6 MiB for a memory that may have 2 pages; then 4 MiB for the other memory.
    guest.field("(memory $small 1 2) (global $left (mut i32) (i32.const 20))").accept(
        "(loop $again
           (drop (memory.grow $small (i32.const 100)))
           (global.set $left (i32.sub (global.get $left) (i32.const 1)))
           (br_if $again (global.get $left)))
         (call $answer (i32.ne (i32.const -1) (memory.grow (i32.const 64))))",
    );
    assert_eq!(with_memory(&guest, 64 << 20).await.unwrap().accept(&event()).await, Ok(true));
}

#[tokio::test]
async fn all_memories_of_an_instance_count_together() {
    let mut guest = Guest::filter();
    for number in 0..10 {
        guest.field(&format!("(memory $m{number} 16)"));
    }
    let message = with_memory(&guest, 8 << 20).await.unwrap_err().to_string();
    assert!(message.contains("cannot be started: it wanted more than its 8 MiB of memory\nhint: "), "{message}");
    assert!(with_memory(&guest, 16 << 20).await.is_ok());
}

#[tokio::test]
async fn a_memory_that_is_too_large_from_the_start_stops_the_start() {
    let mut guest = Guest::filter();
    guest.field("(memory $large 1024)");
    let message = with_memory(&guest, 64 << 20).await.unwrap_err().to_string();
    assert!(message.contains("plugin `guest` cannot be started: it wanted more than its 64 MiB"), "{message}");
}

#[tokio::test]
async fn tables_are_bounded_and_the_message_does_not_speak_of_memory() {
    let mut guest = Guest::filter();
    guest
        .field("(table $table 10 funcref)")
        .accept("(call $answer (i32.ne (i32.const -1) (table.grow $table (ref.null func) (i32.const 60000))))");
    let mut copes = filter(&guest).await.unwrap();
    assert_eq!(copes.accept(&event()).await, Ok(true));
    assert_eq!(copes.accept(&event()).await, Ok(false));
    guest.accept("(drop (table.grow $table (ref.null func) (i32.const 200000))) unreachable");
    let error = filter(&guest).await.unwrap().accept(&event()).await.unwrap_err().to_string();
    assert!(error.contains("100000 table entries"), "{error}");
    assert!(!error.contains("memory"), "{error}");
}

#[tokio::test]
async fn endless_recursion_ends_in_a_trap() {
    let mut guest = Guest::filter();
    guest
        .field("(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (call $deeper (local.get 0))))")
        .accept("(call $deeper (i32.const 1))");
    let mut filter = filter(&guest).await.unwrap();
    for _ in 0..2 {
        let error = filter.accept(&event()).await.unwrap_err().to_string();
        assert_eq!(error, "it trapped: wasm trap: call stack exhausted");
    }
}

#[tokio::test]
async fn an_event_of_10_mb_reaches_the_filter_and_a_larger_one_than_its_memory_does_not() {
    let mut guest = Guest::filter();
    // The length of the detail, at offset 28.
    guest.accept("(call $answer (i32.eq (i32.load offset=28 (local.get $event)) (i32.const 10000000)))");
    let mut large = event();
    large.detail = "x".repeat(10_000_000).into();
    assert_eq!(with_memory(&guest, 64 << 20).await.unwrap().accept(&large).await, Ok(true));
    let mut small = with_memory(&guest, 4 << 20).await.unwrap();
    assert_eq!(small.accept(&large).await, Err(CallError::OutOfMemory(4 << 20)));
    assert_eq!(small.accept(&event()).await, Ok(false));
}

/// In the worst case all guests share one thread with the tasks that wait for it. What is counted is processor time of that
/// thread, which other programs on the machine do not change.
#[tokio::test]
async fn twenty_looping_guests_give_way_every_few_milliseconds() {
    let mut guest = Guest::filter();
    guest.accept(ENDLESS);
    let plugin = load(&guest.component(), |config| config.timeout = Duration::from_secs(600)).unwrap();
    let mut looping = JoinSet::new();
    for _ in 0..20 {
        let mut filter = Filter::start(Arc::clone(&plugin)).await.unwrap();
        looping.spawn(async move { filter.accept(&event()).await });
    }
    // The scheduler treats a spawned task as it does the others.
    let waits = tokio::spawn(async {
        let mut waits = Vec::new();
        for _ in 0..40 {
            let begun = clock_gettime(ClockId::ThreadCPUTime);
            tokio::task::yield_now().await;
            waits.push(Duration::try_from(clock_gettime(ClockId::ThreadCPUTime) - begun).unwrap());
        }
        waits.sort();
        waits
    });
    let waits = waits.await.unwrap();
    println!("a task waits {:?} (median), {:?} (of nine in ten)", waits[20], waits[36]);
    assert!(waits[36] < Duration::from_millis(40), "{waits:?}");
}
