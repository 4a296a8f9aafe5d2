//! The HTTP client: where it goes and where not, and that no answer keeps it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockbell::config::HttpUrl;
use dockbell::deliver::http::{Answer, Client, HttpError, Limits, Request, Resolve, Resolving};
use dockbell_tests::http_server::{Leads, Reply, ScriptedHttp};
use dockbell_tests::smtp::Certificate;
use hyper::{HeaderMap, Method};
use tokio::time::Instant;

fn client() -> Client {
    Client::new(None, true).unwrap()
}

fn request() -> Request {
    Request { method: Method::POST, headers: HeaderMap::new(), body: Bytes::from_static(b"{}") }
}

async fn send(client: &Client, url: &str) -> Result<Answer, HttpError> {
    client.send(&url.parse::<HttpUrl>().unwrap(), request()).await
}

#[tokio::test]
async fn an_address_that_only_this_machine_can_reach_is_refused_in_each_disguise() {
    let client = Client::new(None, false).unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f000001",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[2002:7f00:1::]",
        "[64:ff9b::127.0.0.1]",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "224.0.0.1",
    ] {
        let error = send(&client, &format!("http://{host}:9/hunter2")).await.unwrap_err();
        assert!(error.to_string().contains("nothing is sent there"), "{host}: {error}");
        assert!(!error.is_ambiguous() && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_name_that_is_led_to_this_machine_later_is_refused_then() {
    let server = ScriptedHttp::start().await;
    // A documentation address (RFC 5737) that leads nowhere first, then this machine.
    let leads = Leads::to(&["192.0.2.1:9".parse().unwrap(), server.address()]);
    let limits = Limits { connect: Duration::from_millis(50), ..Limits::default() };
    let client = Client::new(None, false).unwrap().with_resolver(leads).with_limits(limits);
    let first = send(&client, "http://hooks.example.com/").await.unwrap_err().to_string();
    assert!(!first.contains("nothing is sent there"), "{first}");
    let error = send(&client, "http://hooks.example.com/").await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1 is this machine itself; nothing is sent there"), "{error}");
    assert!(error.failure().to_string().contains("hint: for a receiver on this machine set `allow-loopback"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_allowed_are_connected_to() {
    /// Each name leads to both: one that is refused, and one that is not and answers nobody (RFC 5737).
    #[derive(Debug)]
    struct Both(SocketAddr);
    impl Resolve for Both {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
            Box::pin(async { Ok(vec![self.0, "192.0.2.1:9".parse().unwrap()]) })
        }
    }
    let server = ScriptedHttp::start().await;
    let limits = Limits { connect: Duration::from_millis(300), ..Limits::default() };
    let client = Client::new(None, false).unwrap().with_limits(limits).with_resolver(Arc::new(Both(server.address())));
    assert!(send(&client, "http://hooks.example.com/").await.is_err());
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_is_read_to_its_limit_and_no_further() {
    let server = ScriptedHttp::start().await;
    server.once(Reply::Endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n".to_vec()));
    server.once(Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()));
    server.once(Reply::Endless(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec()));
    for _ in 0..3 {
        match send(&client(), &server.url("/")).await {
            Ok(answer) => assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 64 << 10)),
            // How `identity` is read is the library's own matter; it must only not go on for ever.
            Err(error) => assert!(error.is_ambiguous(), "{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_left_after_five_seconds_and_the_status_counts() {
    let server = ScriptedHttp::start().await;
    server.once(Reply::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()));
    let begun = Instant::now();
    let answer = send(&client(), &server.url("/")).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"half"[..]));
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn no_answer_and_slow_headers_end_after_thirty_seconds_and_are_ambiguous() {
    let head = b"HTTP/1.1 200 OK\r\nx-slow: yes\r\ncontent-length: 0\r\n\r\n".to_vec();
    for reply in [
        Reply::Stall(Vec::new()),
        Reply::Stall(b"HTTP/1.1 200 OK\r\nx: ".to_vec()),
        Reply::Slow(Duration::from_secs(2), head),
        Reply::Stall(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
    ] {
        let server = ScriptedHttp::start().await;
        server.once(reply.clone());
        let begun = Instant::now();
        let error = send(&client(), &server.url("/")).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), 30, "{reply:?}");
        assert!(error.is_ambiguous() && error.to_string().contains("answer: none within 30 s"), "{error}");
    }
}

#[tokio::test]
async fn an_early_end_at_each_byte_of_the_head_is_an_error_and_no_acceptance() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
    let server = ScriptedHttp::start().await;
    for length in 0..head.len() {
        server.once(Reply::Bytes(head[..length].to_vec()));
        let error = send(&client(), &server.url("/")).await.unwrap_err();
        assert!(error.is_ambiguous(), "{length}: {error}");
    }
    server.once(Reply::Bytes(head.to_vec()));
    assert_eq!(send(&client(), &server.url("/")).await.unwrap().status.as_u16(), 200);
    server.once(Reply::Drop);
    assert!(send(&client(), &server.url("/")).await.unwrap_err().is_ambiguous());
}

#[tokio::test]
async fn a_head_without_end_and_what_is_not_http_are_errors() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(5000));
    for bytes in [long.as_bytes(), many.as_bytes(), b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\xff\xfe\r\n\r\n"] {
        let server = ScriptedHttp::start().await;
        server.once(Reply::Bytes(bytes.to_vec()));
        let error = send(&client(), &server.url("/")).await.unwrap_err();
        assert!(error.to_string().len() < 500, "{error}");
    }
}

#[tokio::test]
async fn a_certificate_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    for (certificate, known, what) in [
        (Certificate::of(&["hooks.example.com"]), true, None),
        (Certificate::of(&["hooks.example.com"]), false, Some("hint: who signed the certificate is not known here")),
        (Certificate::of_another_host(), true, Some("hint: the URL must name the host as its certificate does")),
        (Certificate::expired(), true, Some("certificate")),
    ] {
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &certificate.ca_pem).unwrap();
        let server = ScriptedHttp::start_with(Some(certificate)).await;
        let client = Client::new(known.then_some(ca.as_path()), true).unwrap();
        let client = client.with_resolver(Leads::to(&[server.address()]));
        match (send(&client, "https://hooks.example.com/").await, what) {
            (Ok(answer), None) => assert_eq!(answer.status.as_u16(), 200),
            (Err(error), Some(what)) => {
                assert!(error.failure().to_string().contains(what), "{}", error.failure());
                assert!(!error.is_ambiguous() && server.received().is_empty());
            }
            (result, what) => panic!("{result:?}, {what:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_leads_nowhere_is_left_after_ten_seconds() {
    #[derive(Debug)]
    struct Never;
    impl Resolve for Never {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
            Box::pin(std::future::pending())
        }
    }
    let begun = Instant::now();
    let error = send(&client().with_resolver(Arc::new(Never)), "http://a.example/").await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(error.to_string().contains("connect: none within 10 s") && !error.is_ambiguous(), "{error}");
}
