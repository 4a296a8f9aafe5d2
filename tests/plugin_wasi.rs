//! What a plugin finds behind WASI: nothing of this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use dockbell::plugin::{CallError, Filter};
use dockbell_tests::guests::{Guest, event, load};

/// The part of WASI 0.2 that these guests import.
const WASI: &str = "
package wasi:io@0.2.3 {
  interface error { resource error; }
  interface poll { resource pollable { block: func(); } }
  interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource input-stream { blocking-read: func(len: u64) -> result<list<u8>, stream-error>; }
    resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
  }
}
package wasi:cli@0.2.3 {
  interface environment {
    get-environment: func() -> list<tuple<string, string>>;
    get-arguments: func() -> list<string>;
    initial-cwd: func() -> option<string>;
  }
  interface exit { exit: func(status: result); }
  interface terminal-input { resource terminal-input; }
  interface terminal-stdin { use terminal-input.{terminal-input}; get-terminal-stdin: func() -> option<terminal-input>; }
  interface terminal-output { resource terminal-output; }
  interface terminal-stdout { use terminal-output.{terminal-output}; get-terminal-stdout: func() -> option<terminal-output>; }
  interface stdin { use wasi:io/streams@0.2.3.{input-stream}; get-stdin: func() -> input-stream; }
  interface stdout { use wasi:io/streams@0.2.3.{output-stream}; get-stdout: func() -> output-stream; }
}
package wasi:clocks@0.2.3 {
  interface monotonic-clock { use wasi:io/poll@0.2.3.{pollable}; subscribe-duration: func(when: u64) -> pollable; }
}
package wasi:random@0.2.3 {
  interface random { get-random-bytes: func(len: u64) -> list<u8>; }
}
package wasi:filesystem@0.2.3 {
  interface types { resource descriptor; }
  interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
}
package wasi:sockets@0.2.3 {
  interface network {
    resource network;
    enum ip-address-family { ipv4, ipv6 }
    enum error-code {
      unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, concurrency-conflict,
      not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, address-in-use,
      remote-unreachable, connection-refused, connection-reset, connection-aborted, datagram-too-large,
      name-unresolvable, temporary-resolver-failure, permanent-resolver-failure,
    }
  }
  interface instance-network { use network.{network}; instance-network: func() -> network; }
  interface tcp { resource tcp-socket; }
  interface tcp-create-socket {
    use network.{error-code, ip-address-family};
    use tcp.{tcp-socket};
    create-tcp-socket: func(family: ip-address-family) -> result<tcp-socket, error-code>;
  }
  interface udp { resource udp-socket; }
  interface udp-create-socket {
    use network.{error-code, ip-address-family};
    use udp.{udp-socket};
    create-udp-socket: func(family: ip-address-family) -> result<udp-socket, error-code>;
  }
  interface ip-name-lookup {
    use network.{network, error-code};
    resource resolve-address-stream;
    resolve-addresses: func(network: borrow<network>, name: string) -> result<resolve-address-stream, error-code>;
  }
}";

/// A filter that may call these functions: the interface, the name in it, how the module calls it, and its core type.
fn guest(functions: &[(&str, &str, &str, &str)]) -> Guest {
    let mut guest = Guest::filter();
    guest.packages(WASI);
    for (interface, function, name, ty) in functions {
        let interface = format!("wasi:{interface}@0.2.3");
        guest.import(&interface, &format!("(func ${name} (import \"{interface}\" \"{function}\") {ty})"));
    }
    guest
}

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
        let mut guest = guest(&[(interface, function, "read", "(param i32)")]);
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
    let mut cwd = guest(&[("cli/environment", "initial-cwd", "cwd", "(param i32)")]);
    cwd.accept("(call $cwd (i32.const 32)) (call $answer (i32.eqz (i32.load8_u (i32.const 32))))");
    assert_eq!(answer(&cwd, LONG).await, Ok(true));
    let mut stdin = guest(&[
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
        let mut guest = guest(&[(&interface, &function, "terminal", "(param i32)")]);
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
        let mut guest = guest(&[(&interface, &function, "socket", "(param i32 i32)")]);
        // 1: access-denied.
        guest.accept(&format!("(call $socket (i32.const {family}) (i32.const 32)) {}", denied(1)));
        assert_eq!(answer(&guest, LONG).await, Ok(true), "{function} {family}");
    }
    let mut guest = guest(&[
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
        let mut guest = guest(&[("cli/exit", "exit", "exit", "(param i32)")]);
        guest.accept(&format!("(call $exit (i32.const {status})) unreachable"));
        let error = answer(&guest, LONG).await.unwrap_err().to_string();
        assert_eq!(error, format!("it trapped: it ended itself with exit code {code}"));
    }
}

#[tokio::test]
async fn a_guest_that_sleeps_in_the_host_is_stopped() {
    let mut guest = guest(&[
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
    let mut guest = guest(&[("cli/stdout", "get-stdout", "stdout", "(result i32)")]);
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
    assert!(error.starts_with("it trapped: ") && error.contains("resource"), "{error}");
}

#[tokio::test]
async fn a_guest_gets_randomness_but_not_by_the_gigabyte() {
    let random = |bytes: u64| {
        let mut guest = guest(&[("random/random", "get-random-bytes", "random", "(param i64 i32)")]);
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
