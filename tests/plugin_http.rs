//! Requests of plugins to the web: to the servers that are granted, to no other, and not without bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dockbell::app::outgoing::Sender;
use dockbell::config::{PluginConfig, Server};
use dockbell::deliver::http::Client;
use dockbell::plugin::{CallError, Filter, Runtime};
use dockbell_tests::engine::container;
use dockbell_tests::guests::{Guest, event, load, wasi_filter};
use dockbell_tests::http_server::{Leads, Reply, ScriptedHttp};
use dockbell_tests::program::{Program, program};
use dockbell_tests::smtp::Certificate;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Cases of `error-code`.
const UNAVAILABLE: u8 = 3;
const IP_PROHIBITED: u8 = 4;
const LIMIT: u8 = 11;
const TLS: u8 = 12;
const DENIED: u8 = 15;
const BODY_SIZE: u8 = 17;
const METHOD: u8 = 18;
const ANSWER_SIZE: u8 = 28;

/// A filter that can ask: `$begin` begins a request and leaves a future or an error at 40, with 0 or 1 at 32; `$await` waits
/// for it and does the same with the response at 56 and 0 or 1 at 48.
fn web(url: &str) -> Guest {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) =
        rest.split_once('/').map_or((rest, "/".to_owned()), |(host, path)| (host, format!("/{path}")));
    let types = "http/types";
    let mut guest = wasi_filter(&[
        (types, "[constructor]fields", "fields", "(result i32)"),
        (types, "[constructor]outgoing-request", "request", "(param i32) (result i32)"),
        (types, "[method]outgoing-request.set-method", "method", "(param i32 i32 i32 i32) (result i32)"),
        (types, "[method]outgoing-request.set-scheme", "scheme", "(param i32 i32 i32 i32 i32) (result i32)"),
        (types, "[method]outgoing-request.set-authority", "authority", "(param i32 i32 i32 i32) (result i32)"),
        (types, "[method]outgoing-request.set-path-with-query", "path", "(param i32 i32 i32 i32) (result i32)"),
        (types, "[method]outgoing-request.body", "body", "(param i32 i32)"),
        (types, "[method]outgoing-body.write", "write", "(param i32 i32)"),
        (types, "[static]outgoing-body.finish", "finish", "(param i32 i32 i32 i32)"),
        (types, "[method]incoming-response.status", "status", "(param i32) (result i32)"),
        (types, "[method]incoming-response.consume", "consume", "(param i32 i32)"),
        (types, "[method]incoming-body.stream", "stream", "(param i32 i32)"),
        (types, "[method]future-incoming-response.subscribe", "subscribe", "(param i32) (result i32)"),
        (types, "[method]future-incoming-response.get", "get", "(param i32 i32)"),
        ("http/outgoing-handler", "handle", "handle", "(param i32 i32 i32 i32)"),
        ("io/poll", "[method]pollable.block", "block", "(param i32)"),
        ("io/poll", "[resource-drop]pollable", "unpoll", "(param i32)"),
        ("io/streams", "[method]input-stream.blocking-read", "read", "(param i32 i64 i32)"),
        ("io/streams", "[method]output-stream.blocking-write-and-flush", "put", "(param i32 i32 i32 i32)"),
        ("io/streams", "[resource-drop]output-stream", "unput", "(param i32)"),
    ]);
    let (authority, path) = (guest.text(authority), guest.text(&path));
    let scheme = u8::from(scheme == "https");
    guest.field(&format!(
        "(func $prepare (result i32)
           (local $request i32)
           (local.set $request (call $request (call $fields)))
           (drop (call $scheme (local.get $request) (i32.const 1) (i32.const {scheme}) (i32.const 0) (i32.const 0)))
           (if (call $authority (local.get $request) (i32.const 1) {authority}) (then unreachable))
           (if (call $path (local.get $request) (i32.const 1) {path}) (then unreachable))
           (local.get $request))
         (func $begin (call $handle (call $prepare) (i32.const 0) (i32.const 0) (i32.const 32)))
         (func $await (param $future i32)
           (local $pollable i32)
           (local.set $pollable (call $subscribe (local.get $future)))
           (call $block (local.get $pollable))
           (call $unpoll (local.get $pollable))
           (call $get (local.get $future) (i32.const 32)))
         ;; An error's number as a letter, and `E` before it.
         (func $code (param $code i32) (result i32)
           (i32.store8 (i32.const 200) (i32.const 69))
           (i32.store8 (i32.const 201) (i32.add (i32.const 48) (local.get $code)))
           (call $error (i32.const 200) (i32.const 2)))
         ;; The answer: its status (three digits at 210) and the beginning of its body.
         (func $told (param $response i32) (result i32)
           (local $status i32)
           (local $len i32)
           (local.set $status (call $status (local.get $response)))
           (i32.store8 (i32.const 210) (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 100))))
           (i32.store8 (i32.const 211)
             (i32.add (i32.const 48) (i32.rem_u (i32.div_u (local.get $status) (i32.const 10)) (i32.const 10))))
           (i32.store8 (i32.const 212) (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
           (call $consume (local.get $response) (i32.const 32))
           (call $stream (i32.load (i32.const 36)) (i32.const 32))
           (call $read (i32.load (i32.const 36)) (i64.const 100) (i32.const 32))
           (if (i32.eqz (i32.load8_u (i32.const 32))) (then
             (local.set $len (i32.load (i32.const 40)))
             (memory.copy (i32.const 213) (i32.load (i32.const 36)) (local.get $len))))
           (call $error (i32.const 210) (i32.add (i32.const 3) (local.get $len))))"
    ));
    guest
}

/// Asks once and says what came.
fn asking(url: &str) -> Guest {
    let mut guest = web(url);
    guest.accept(
        "(call $begin)
         (if (i32.load8_u (i32.const 32)) (then (return (call $code (i32.load8_u (i32.const 40))))))
         (call $await (i32.load (i32.const 40)))
         (if (i32.load8_u (i32.const 48)) (then (return (call $code (i32.load8_u (i32.const 56))))))
         (call $told (i32.load (i32.const 56)))",
    );
    guest
}

/// Begins this many requests in one call and says the first error; lets the event pass where there is none.
fn many(url: &str, number: u32) -> Guest {
    let mut guest = web(url);
    guest.accept(&format!(
        "(local $left i32)
         (local.set $left (i32.const {number}))
         (loop $again
           (call $begin)
           (if (i32.load8_u (i32.const 32)) (then (return (call $code (i32.load8_u (i32.const 40))))))
           ;; A request that is refused has a future, too, which says so.
           (call $await (i32.load (i32.const 40)))
           (if (i32.load8_u (i32.const 48)) (then (return (call $code (i32.load8_u (i32.const 56))))))
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br_if $again (local.get $left)))
         (call $answer (i32.const 1))"
    ));
    guest
}

fn server(text: &str, private: bool) -> Server {
    Server { origin: text.parse().unwrap(), private }
}

/// A filter that runs with a sender of its own, and is granted these servers.
async fn start(guest: &Guest, client: Client, servers: &[Server]) -> Filter {
    start_with(guest, client, servers, 64 << 20).await
}

/// The same with this much memory.
async fn start_with(guest: &Guest, client: Client, servers: &[Server], memory: usize) -> Filter {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), guest.component()).unwrap();
    let mut config = PluginConfig::new(&file.path().to_string_lossy());
    config.grants.http = Some(servers.to_vec());
    config.timeout = Duration::from_secs(20);
    config.memory = memory;
    let runtime = Runtime::new().unwrap().with_sender(Arc::new(Sender::new(client)));
    let plugin = runtime.load("guest", &config).unwrap();
    // The clock of the guests lives as long as the runtime.
    std::mem::forget(runtime);
    Filter::start(plugin).await.unwrap()
}

/// What the filter answers as an error: the way in which these guests say what has come.
async fn said(filter: &mut Filter) -> String {
    match filter.accept(&event()).await {
        Err(CallError::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn code(code: u8) -> String {
    format!("E{}", char::from(b'0' + code))
}

fn client() -> Client {
    Client::new(None, false).unwrap()
}

/// The client for a name that leads to this address.
fn leading_to(address: SocketAddr) -> Client {
    client().with_resolver(Leads::to(&[address]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_asks_the_server_that_it_is_granted() {
    let http = ScriptedHttp::start().await;
    http.once(Reply::status(201, "x-more: yes\r\n", "hello"));
    let mut filter = start(&asking(&http.url("/on-call?team=ops")), client(), &[server(&http.url(""), false)]).await;
    assert_eq!(said(&mut filter).await, "201hello");
    let received = http.received();
    assert_eq!((received[0].method.as_str(), received[0].path.as_str()), ("GET", "/on-call?team=ops"));
    assert_eq!(received[0].header("host"), Some(http.address().to_string().as_str()));
    assert_eq!(said(&mut filter).await, "200ok", "and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_server_port_or_scheme_is_reached() {
    let http = ScriptedHttp::start().await;
    let (port, url) = (http.address().port(), http.url("/"));
    let others: [&[Server]; 6] = [
        &[],
        &[server("http://127.0.0.1", false)],
        &[server(&format!("https://127.0.0.1:{port}"), false)],
        &[server(&format!("http://localhost:{port}"), true)],
        &[server(&format!("http://[::1]:{port}"), true)],
        &[server("https://api.example.com", true), server("http://10.0.0.5", true)],
    ];
    for granted in others {
        assert_eq!(said(&mut start(&asking(&url), client(), granted).await).await, code(DENIED), "{granted:?}");
    }
    // What stands before an `@` is a login and no host, and no login is let out.
    let granted = [server(&http.url(""), false)];
    for url in [format!("http://127.0.0.1:{port}@evil.example/"), format!("http://user:word@127.0.0.1:{port}/")] {
        assert_eq!(said(&mut start(&asking(&url), client(), &granted).await).await, code(DENIED), "{url}");
    }
    assert_eq!(http.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_leads_to_no_private_address_unless_that_is_granted_too() {
    let http = ScriptedHttp::start().await;
    let url = format!("http://calendar.example:{}", http.address().port());
    for address in [http.address(), "10.0.0.5:9".parse().unwrap(), "[fd00::1]:9".parse().unwrap()] {
        let mut filter = start(&asking(&url), leading_to(address), &[server(&url, false)]).await;
        assert_eq!(said(&mut filter).await, code(IP_PROHIBITED), "{address}");
    }
    assert_eq!(http.connections(), 0);
    let mut filter = start(&asking(&url), leading_to(http.address()), &[server(&url, true)]).await;
    assert_eq!(said(&mut filter).await, "200ok");
    // What hands out credentials to whoever asks is never reached.
    let metadata = "169.254.169.254:80".parse().unwrap();
    let mut filter = start(&asking(&url), leading_to(metadata), &[server(&url, true)]).await;
    assert_eq!(said(&mut filter).await, code(IP_PROHIBITED));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tunnel_leads_through_a_server_that_is_granted() {
    let http = ScriptedHttp::start().await;
    let mut guest = web(&http.url("/"));
    // 5: connect.
    guest.accept(
        "(local $request i32)
         (local.set $request (call $prepare))
         (drop (call $method (local.get $request) (i32.const 5) (i32.const 0) (i32.const 0)))
         (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 32))
         (if (i32.load8_u (i32.const 32)) (then (return (call $code (i32.load8_u (i32.const 40))))))
         (call $await (i32.load (i32.const 40)))
         (call $code (i32.load8_u (i32.const 56)))",
    );
    let mut filter = start(&guest, client(), &[server(&http.url(""), false)]).await;
    assert_eq!(said(&mut filter).await, code(METHOD));
    assert_eq!(http.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (http, other) = (ScriptedHttp::start().await, ScriptedHttp::start().await);
    http.always(Reply::status(302, &format!("location: {}\r\n", other.url("/")), "moved"));
    let mut filter = start(&asking(&http.url("/")), client(), &[server(&http.url(""), false)]).await;
    assert_eq!(said(&mut filter).await, "302moved");
    assert_eq!(other.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_to_the_plugin() {
    let http = ScriptedHttp::start_with(Some(Certificate::valid())).await;
    let url = format!("https://127.0.0.1:{}", http.address().port());
    let mut filter = start(&asking(&url), client(), &[server(&url, false)]).await;
    assert_eq!(said(&mut filter).await, code(TLS), "nobody knows the certificate");
    let url = http.url("");
    http.stop().await;
    let mut filter = start(&asking(&url), client(), &[server(&url, false)]).await;
    assert_eq!(said(&mut filter).await, code(UNAVAILABLE));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_none() {
    let http = ScriptedHttp::start().await;
    let mut filter = start(&asking(&http.url("/")), client(), &[server(&http.url(""), false)]).await;
    http.once(Reply::status(200, "", &"x".repeat(1 << 20)));
    assert_eq!(said(&mut filter).await, format!("200{}", "x".repeat(100)), "a MiB is the most");
    http.once(Reply::status(200, "", &"x".repeat((1 << 20) + 1)));
    assert_eq!(said(&mut filter).await, code(ANSWER_SIZE));
    http.once(Reply::Endless(b"HTTP/1.1 200 x\r\n\r\n".to_vec()));
    assert_eq!(said(&mut filter).await, code(ANSWER_SIZE));
    assert_eq!(said(&mut filter).await, "200ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sent_up_to_a_mebibyte() {
    let http = ScriptedHttp::start().await;
    // Pieces of 4 KiB, the most that `blocking-write-and-flush` takes.
    let posting = |pieces: u32| {
        let mut guest = web(&http.url("/"));
        guest.accept(&format!(
            "(local $request i32) (local $body i32) (local $out i32) (local $future i32) (local $left i32)
             (local.set $request (call $prepare))
             (drop (call $method (local.get $request) (i32.const 2) (i32.const 0) (i32.const 0)))
             (call $body (local.get $request) (i32.const 32))
             (local.set $body (i32.load (i32.const 36)))
             (call $write (local.get $body) (i32.const 32))
             (local.set $out (i32.load (i32.const 36)))
             (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 32))
             (if (i32.load8_u (i32.const 32)) (then unreachable))
             (local.set $future (i32.load (i32.const 40)))
             (local.set $left (i32.const {pieces}))
             (block $done
               (loop $again
                 (call $put (local.get $out) (i32.const 1024) (i32.const 4096) (i32.const 32))
                 (br_if $done (i32.load8_u (i32.const 32)))
                 (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                 (br_if $again (local.get $left))))
             (call $unput (local.get $out))
             (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 32))
             (call $await (local.get $future))
             (if (i32.load8_u (i32.const 48)) (then (return (call $code (i32.load8_u (i32.const 56))))))
             (call $told (i32.load (i32.const 56)))"
        ));
        guest
    };
    let granted = [server(&http.url(""), false)];
    assert_eq!(said(&mut start(&posting(256), client(), &granted).await).await, "200ok");
    let received = http.received();
    assert_eq!((received[0].method.as_str(), received[0].body.len()), ("POST", 1 << 20));
    assert_eq!(said(&mut start(&posting(257), client(), &granted).await).await, code(BODY_SIZE));
    assert_eq!(http.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_a_call_are_counted_and_so_are_those_at_once() {
    let http = ScriptedHttp::start().await;
    let granted = [server(&http.url(""), false)];
    // The guest keeps each answer, so there are as many at once as it has made.
    let mut sixteen = start(&many(&http.url("/"), 16), client(), &granted).await;
    assert_eq!(sixteen.accept(&event()).await, Ok(true));
    assert_eq!(said(&mut sixteen).await, code(LIMIT), "the next call may begin some, but there is no room");
    let mut seventeen = start(&many(&http.url("/"), 17), client(), &granted).await;
    assert_eq!(said(&mut seventeen).await, code(DENIED));
    assert_eq!(http.received().len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_count_towards_the_memory_while_they_are_held() {
    let http = ScriptedHttp::start().await;
    http.always(Reply::status(200, "", &"x".repeat(1 << 20)));
    let guest = many(&http.url("/"), 16);
    let mut filter = start_with(&guest, client(), &[server(&http.url(""), false)], 4 << 20).await;
    assert_eq!(said(&mut filter).await, code(ANSWER_SIZE));
    assert!(http.received().len() < 5, "{} answers of 1 MiB were held in 4 MiB", http.received().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_longer_than_servers_take_is_refused() {
    let http = ScriptedHttp::start().await;
    let granted = [server(&http.url(""), false)];
    let path = |bytes: usize| format!("{}/{}", http.url(""), "x".repeat(bytes - 1));
    assert_eq!(said(&mut start(&asking(&path(8 << 10)), client(), &granted).await).await, "200ok");
    let refused = start(&asking(&path((8 << 10) + 1)), client(), &granted).await.accept(&event()).await;
    assert!(matches!(refused, Err(CallError::Trapped(_))), "the guest aborts where it is refused: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_a_silent_server_ends_with_its_timeout() {
    let http = ScriptedHttp::start().await;
    http.always(Reply::Stall(Vec::new()));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), asking(&http.url("/")).component()).unwrap();
    let mut config = PluginConfig::new(&file.path().to_string_lossy());
    config.grants.http = Some(vec![server(&http.url(""), false)]);
    config.timeout = Duration::from_millis(300);
    let runtime = Runtime::new().unwrap().with_sender(Arc::new(Sender::new(client())));
    let mut filter = Filter::start(runtime.load("guest", &config).unwrap()).await.unwrap();
    let began = Instant::now();
    assert_eq!(filter.accept(&event()).await, Err(CallError::TimedOut(config.timeout)));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_plugin_that_imports_http_is_refused_without_it_and_an_empty_list_grants_no_server() {
    let guest = asking("http://127.0.0.1:9/").component();
    let refused = load(&guest, |_| {}).unwrap_err().to_string();
    for said in ["`wasi:http/outgoing-handler@0.2.3`", "make web requests", "http = [\"https://api.example.com\"]"] {
        assert!(refused.contains(said), "{refused}");
    }
    load(&guest, |config| config.grants.http = Some(Vec::new())).unwrap();

    let folder = TempDir::new().unwrap();
    let (plugin, events) = (folder.path().join("web.wasm"), folder.path().join("events"));
    fs::write(&plugin, guest).unwrap();
    fs::write(&events, container("die").name("web").line()).unwrap();
    let run = |set: &str| {
        let mut command = program(DOCKBELL);
        command.args(["plugin", "test"]).arg(&plugin).arg("--events").arg(&events).args(["--set", set]);
        Program::start(&mut command).ended()
    };
    let ended = run("http = []");
    assert!(ended.output.contains(&format!("with an error: {}", code(DENIED))), "{}", ended.output);
    assert!(ended.log.contains("it may not ask http://127.0.0.1:9"), "{}", ended.log);
    let ended = run("http = [\"http://127.0.0.1:9\"]");
    assert!(ended.output.contains(&format!("with an error: {}", code(UNAVAILABLE))), "{}", ended.output);
    assert!(ended.log.contains("a request of the plugin has no answer"), "{}", ended.log);
}
