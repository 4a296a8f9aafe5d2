//! What guests cost the host in memory, read from `/proc/self/status`. The tests take turns, since they share the process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockbell::event::Event;
use dockbell::plugin::{CallError, Filter, Formatter};
use dockbell_tests::guests::{Guest, batch, event, load};

const MIB: usize = 1 << 20;

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line of `/proc/self/status` in bytes: `VmRSS` now, `VmHWM` at its highest.
fn resident(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
    found.unwrap().trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Lets `VmHWM` begin anew; where the kernel does not, it only grows, and the tests are no weaker for it.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_hundred_thousand_calls_do_not_grow_the_host() {
    let _turn = turn();
    block_on(async {
        let mut filter = Filter::start(load(&Guest::filter().component(), |_| {}).unwrap()).await.unwrap();
        let event = event();
        for _ in 0..1_000 {
            filter.accept(&event).await.unwrap();
        }
        let before = resident("VmRSS");
        for _ in 0..100_000 {
            filter.accept(&event).await.unwrap();
        }
        let grown = resident("VmRSS").saturating_sub(before);
        assert!(grown < 4 * MIB, "100,000 calls left {grown} bytes behind");
    });
}

#[test]
fn five_thousand_fresh_instances_do_not_grow_the_host() {
    let _turn = turn();
    let mut guest = Guest::filter();
    guest.accept("unreachable");
    block_on(async {
        let plugin = load(&guest.component(), |config| config.timeout = Duration::from_secs(10)).unwrap();
        let mut filter = Filter::start(plugin).await.unwrap();
        for _ in 0..100 {
            filter.accept(&event()).await.unwrap_err();
        }
        let before = resident("VmRSS");
        for _ in 0..5_000 {
            let error = filter.accept(&event()).await.unwrap_err();
            assert!(matches!(error, CallError::Trapped(_)), "{error}");
        }
        let grown = resident("VmRSS").saturating_sub(before);
        assert!(grown < 8 * MIB, "5,000 failures left {grown} bytes behind");
    });
}

#[test]
fn an_answer_without_measure_does_not_make_the_host_grow_without_measure() {
    let _turn = turn();
    let mut million = Guest::formatter();
    million.format("(drop (memory.grow (i32.const 400))) (call $list (i32.const 65536) (i32.const 1000000))");
    let mut large = Guest::formatter();
    let subject = large.text("large");
    large.format(&format!(
        "(drop (memory.grow (i32.const 1600))) (call $message {subject} (i32.const 65536) (i32.const 100000000))"
    ));
    block_on(async {
        for guest in [million, large] {
            let plugin = load(&guest.component(), |config| {
                config.memory = 256 * MIB;
                config.timeout = Duration::from_secs(10);
            });
            let mut formatter = Formatter::start(plugin.unwrap()).await.unwrap();
            let before = resident("VmRSS");
            forget_peak();
            formatter.format(&batch(1)).await.unwrap_err();
            // The guest never touches the memory that it grows, so what is resident is the host's.
            let grown = resident("VmHWM").saturating_sub(before);
            assert!(grown < 48 * MIB, "the host grew by {grown} bytes");
        }
    });
}

#[test]
fn a_guest_takes_no_more_memory_than_its_limit() {
    let _turn = turn();
    let mut guest = Guest::filter();
    // Takes and touches all it can get, then goes on.
    guest.accept(
        "(block $full (loop $again
           (br_if $full (i32.eq (i32.const -1) (memory.grow (i32.const 16))))
           (memory.fill
             (i32.mul (i32.sub (memory.size) (i32.const 16)) (i32.const 65536)) (i32.const 1) (i32.const 1048576))
           (br $again)))
         (call $answer (i32.const 1))",
    );
    block_on(async {
        let plugin = load(&guest.component(), |config| {
            config.memory = 32 * MIB;
            config.timeout = Duration::from_secs(10);
        });
        let mut filter = Filter::start(plugin.unwrap()).await.unwrap();
        let before = resident("VmRSS");
        forget_peak();
        assert_eq!(filter.accept(&event()).await, Ok(true));
        let grown = resident("VmHWM").saturating_sub(before);
        assert!((24 * MIB..48 * MIB).contains(&grown), "the guest took {grown} bytes of 32 MiB");
    });
}

#[test]
fn a_filter_that_leaks_a_kibibyte_per_call_for_a_million_calls_takes_no_more_than_its_limit() {
    let _turn = turn();
    let mut guest = Guest::filter();
    // A page of 64 KiB every 64 calls, and it is written to.
    guest.field("(global $calls (mut i32) (i32.const 0))").accept(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (if (i32.eqz (i32.rem_u (global.get $calls) (i32.const 64))) (then
           (if (i32.eq (i32.const -1) (memory.grow (i32.const 1))) (then unreachable))
           (memory.fill (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536)) (i32.const 1) (i32.const 65536))))
         (call $answer (i32.const 1))",
    );
    block_on(async {
        let plugin = load(&guest.component(), |config| {
            config.memory = 8 * MIB;
            config.timeout = Duration::from_secs(10);
        });
        let mut filter = Filter::start(plugin.unwrap()).await.unwrap();
        // A small one: handing it over is most of the work.
        let event = Event::default();
        let before = resident("VmRSS");
        forget_peak();
        let mut failed = 0;
        for _ in 0..1_000_000 {
            match filter.accept(&event).await {
                Ok(accepted) => assert!(accepted),
                Err(error) => {
                    assert_eq!(error, CallError::OutOfMemory(8 * MIB));
                    failed += 1;
                }
            }
        }
        // 1,000,000 KiB in instances of 8 MiB each.
        assert!((100..150).contains(&failed), "{failed} calls failed");
        let grown = resident("VmHWM").saturating_sub(before);
        assert!(grown < 24 * MIB, "the host grew by {grown} bytes");
    });
}
