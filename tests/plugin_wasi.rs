//! What a plugin finds behind WASI: nothing of this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use dockbell::plugin::{CallError, Filter};
use dockbell_tests::guests::{Guest, event, load, wasi_filter};

async fn answer(guest: &Guest, timeout: Duration) -> Result<bool, CallError> {
    let plugin = load(&guest.component(), |config| config.timeout = timeout).unwrap();
    Filter::start(plugin).await.unwrap().accept(&event()).await
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn environment_arguments_and_folders_are_empty() {
    for (interface, function) in [
        ("cli/environment", "get-environment"),
        ("cli/environment", "get-arguments"),
        ("filesystem/preopens", "get-directories"),
    ] {
        let mut guest = wasi_filter(&[(interface, function, "read", "(param i32)")]);
        // Whether the list that is left at 32 has no item.
        guest.accept(
            "(i32.store offset=4 (i32.const 32) (i32.const 7)) (call $read (i32.const 32))
             (call $answer (i32.eqz (i32.load offset=4 (i32.const 32))))",
        );
        assert_eq!(answer(&guest, LONG).await, Ok(true), "{function}");
    }
    assert!(std::env::vars().count() > 0, "this process has no environment that a guest could see");
}

#[tokio::test]
async fn there_is_no_working_directory_and_nothing_to_read() {
    let mut cwd = wasi_filter(&[("cli/environment", "initial-cwd", "cwd", "(param i32)")]);
    cwd.accept("(call $cwd (i32.const 32)) (call $answer (i32.eqz (i32.load8_u (i32.const 32))))");
    assert_eq!(answer(&cwd, LONG).await, Ok(true));
    let mut stdin = wasi_filter(&[
        ("cli/stdin", "get-stdin", "stdin", "(result i32)"),
        ("io/streams", "[method]input-stream.blocking-read", "read", "(param i32 i64 i32)"),
    ]);
    // The result is `err(closed)`: 1, then case 1 of the variant.
    stdin.accept(
        "(call $read (call $stdin) (i64.const 100) (i32.const 32))
         (call $answer (i32.and (i32.load8_u (i32.const 32)) (i32.load8_u offset=4 (i32.const 32))))",
    );
    assert_eq!(answer(&stdin, LONG).await, Ok(true));
}

#[tokio::test]
async fn there_is_no_terminal_that_could_be_made_raw() {
    for stream in ["stdin", "stdout"] {
        let (interface, function) = (format!("cli/terminal-{stream}"), format!("get-terminal-{stream}"));
        let mut guest = wasi_filter(&[(&interface, &function, "terminal", "(param i32)")]);
        guest.accept("(call $terminal (i32.const 32)) (call $answer (i32.eqz (i32.load8_u (i32.const 32))))");
        assert_eq!(answer(&guest, LONG).await, Ok(true), "{stream}");
    }
}

#[tokio::test]
async fn sockets_and_names_are_denied() {
    // The result that is left at 32 is `err`, with this case of `error-code`.
    let denied = |code: u32| {
        format!(
            "(call $answer (i32.and
               (i32.load8_u (i32.const 32)) (i32.eq (i32.const {code}) (i32.load8_u offset=4 (i32.const 32)))))"
        )
    };
    for (kind, family) in [("tcp", 0), ("tcp", 1), ("udp", 0), ("udp", 1)] {
        let interface = format!("sockets/{kind}-create-socket");
        let function = format!("create-{kind}-socket");
        let mut guest = wasi_filter(&[(&interface, &function, "socket", "(param i32 i32)")]);
        // 1: access-denied.
        guest.accept(&format!("(call $socket (i32.const {family}) (i32.const 32)) {}", denied(1)));
        assert_eq!(answer(&guest, LONG).await, Ok(true), "{function} {family}");
    }
    let mut guest = wasi_filter(&[
        ("sockets/instance-network", "instance-network", "network", "(result i32)"),
        ("sockets/ip-name-lookup", "resolve-addresses", "resolve", "(param i32 i32 i32 i32)"),
    ]);
    let name = guest.text("localhost");
    // 20: permanent-resolver-failure.
    guest.accept(&format!("(call $resolve (call $network) {name} (i32.const 32)) {}", denied(20)));
    assert_eq!(answer(&guest, LONG).await, Ok(true), "resolve-addresses");
}

#[tokio::test]
async fn a_guest_that_exits_ends_itself_and_not_dockbell() {
    for (status, code) in [(0, 0), (1, 1)] {
        let mut guest = wasi_filter(&[("cli/exit", "exit", "exit", "(param i32)")]);
        guest.accept(&format!("(call $exit (i32.const {status})) unreachable"));
        let error = answer(&guest, LONG).await.unwrap_err().to_string();
        assert_eq!(error, format!("it trapped: it ended itself with exit code {code}"));
    }
}

#[tokio::test]
async fn a_guest_that_sleeps_in_the_host_is_stopped() {
    let mut guest = wasi_filter(&[
        ("clocks/monotonic-clock", "subscribe-duration", "hour", "(param i64) (result i32)"),
        ("io/poll", "[method]pollable.block", "block", "(param i32)"),
    ]);
    guest.accept("(call $block (call $hour (i64.const 3600000000000))) (call $answer (i32.const 1))");
    let started = Instant::now();
    let limit = Duration::from_millis(100);
    assert_eq!(answer(&guest, limit).await, Err(CallError::TimedOut(limit)));
    assert!(started.elapsed() < LONG, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_guest_cannot_pile_up_resources_of_the_host() {
    let mut guest = wasi_filter(&[("cli/stdout", "get-stdout", "stdout", "(result i32)")]);
    guest.accept(
        "(local $left i32)
         (local.set $left (i32.const 100000))
         (loop $again
           (drop (call $stdout))
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br_if $again (local.get $left)))
         (call $answer (i32.const 1))",
    );
    let error = answer(&guest, LONG).await.unwrap_err().to_string();
    let expected = "it held more than 256 files, streams, requests, sets of header fields and the like at once";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_guest_gets_randomness_but_not_by_the_gigabyte() {
    let random = |bytes: u64| {
        let mut guest = wasi_filter(&[("random/random", "get-random-bytes", "random", "(param i64 i32)")]);
        guest.accept(&format!(
            "(call $random (i64.const {bytes}) (i32.const 32))
             (call $answer (i32.eq (i32.load offset=4 (i32.const 32)) (i32.const {bytes})))"
        ));
        guest
    };
    assert_eq!(answer(&random(32), LONG).await, Ok(true));
    let error = answer(&random(1 << 30), LONG).await.unwrap_err().to_string();
    assert!(error.starts_with("it trapped: ") && error.contains("1048576"), "{error}");
}
