//! Engines whose answers have no end, or never come: what is read of them is bounded, in bytes and in time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::sync::Arc;
use std::time::Duration;

use dockbell::engine::{Engine, Fault, Span, read};
use dockbell::queue::queue;
use dockbell_tests::engine::{Answer, HostileEngine, PAGE};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// What the kernel and the client's own buffers may hold beyond what is read: a unix socket's buffer has 208 KiB.
const BUFFERS: usize = 2 << 20;
const MIB: usize = 1 << 20;
/// How long anything may take here that is not the engine's doing: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

fn client(engine: &HostileEngine) -> Engine {
    Engine::new(Arc::from("local"), &engine.config()).unwrap()
}

/// Every form in which an answer of status 200 can have no end.
fn endless() -> [(&'static str, Answer); 5] {
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let text = |text: &str| text.repeat(PAGE / text.len());
    [
        ("a length", Answer::endless(format!("{ok}Content-Length: 1000000000000\r\n\r\n"), text("[1,"))),
        ("chunks", Answer::endless(format!("{ok}Transfer-Encoding: chunked\r\n\r\n"), text("3\r\n[1,\r\n"))),
        ("no length", Answer::endless(format!("{ok}Connection: close\r\n\r\n{{\"Id\":\""), text("x"))),
        ("interim answers", Answer::endless(String::new(), text("HTTP/1.1 100 Continue\r\n\r\n"))),
        ("headers", Answer::endless(ok.to_owned(), text("X-More: yes\r\n"))),
    ]
}

#[tokio::test]
async fn an_answer_without_end_is_read_up_to_its_limit() {
    for (form, answer) in endless() {
        for (path, most) in
            [("/version", MIB), ("/info", MIB), ("/containers/abc/json", MIB), ("/containers/json", 64 * MIB)]
        {
            // So much in pieces of a few bytes takes long, and adds nothing.
            if most > MIB && !matches!(form, "a length" | "no length") {
                continue;
            }
            let engine = HostileEngine::start().await;
            engine.answer(path, answer.clone());
            let client = client(&engine);
            let asked = async {
                match path {
                    "/version" => client.describe().await.map(drop).err(),
                    "/info" => client.id().await.map(|id| panic!("{id}")),
                    "/containers/json" => client.containers().await.map(drop).err(),
                    _ => client.inspect("abc").await.map(drop).err(),
                }
            };
            let error = timeout(PATIENCE, asked).await.unwrap();
            if let Some(error) = error {
                let text = error.to_string();
                assert!(text.contains("hint: ") && text.lines().count() == 2, "{path}, {form}: {text}");
                // On a busy machine the time is over before the bytes are.
                let fits =
                    matches!(error.fault, Fault::TooLarge { .. } | Fault::NotAnEngine(_) | Fault::Timeout { .. });
                assert!(fits, "{path}, {form}: {text}");
            }
            let sent = engine.sent_until_closed(path).await;
            assert!(sent <= most + BUFFERS, "{path}, {form}: {} KiB were taken", sent >> 10);
        }
    }
}

#[tokio::test]
async fn an_error_without_end_is_quoted_and_left() {
    let head = "HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nno room on disk\n\r\n";
    for path in ["/_ping", "/containers/json"] {
        let engine = HostileEngine::start().await;
        engine.answer(path, Answer::endless(head.to_owned(), "4\r\nmore\r\n".repeat(PAGE / 9)));
        let client = client(&engine);
        let error = match path {
            "/_ping" => client.describe().await.unwrap_err(),
            _ => client.containers().await.unwrap_err(),
        };
        assert!(error.to_string().contains("status 500: no room on disk"), "{error}");
        assert!(engine.sent_until_closed(path).await <= BUFFERS);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_drips_ends_with_its_time() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (path, seconds) in [("/version", 10), ("/info", 10), ("/containers/abc/json", 2), ("/containers/json", 60)] {
        let engine = HostileEngine::start().await;
        engine.answer(path, Answer::Drip { head: head.to_owned(), piece: "1\r\n \r\n".to_owned() });
        let (client, began) = (client(&engine), Instant::now());
        match path {
            "/version" => drop(client.describe().await),
            "/info" => assert_eq!(client.id().await, None),
            "/containers/json" => drop(client.containers().await.unwrap_err()),
            _ => drop(client.inspect("abc").await.unwrap_err()),
        }
        let took = began.elapsed();
        assert!(took <= Duration::from_secs(seconds + 1), "{path} took {took:?}");
        engine.sent_until_closed(path).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_ends_with_its_time() {
    let drip = Answer::Drip { head: "HTTP/1.1 200 OK\r\n".to_owned(), piece: "X-More: yes\r\n".to_owned() };
    for path in ["/_ping", "/events"] {
        let engine = HostileEngine::start().await;
        engine.answer(path, drip.clone());
        let (sender, mut receiver) = queue(1 << 20);
        let stop = CancellationToken::new();
        let task = tokio::spawn(read(client(&engine), Span::default(), None, sender, stop.clone()));
        let began = Instant::now();
        let lost = receiver.recv().await.unwrap().events.remove(0);
        assert_eq!(lost.action, "engine_lost");
        assert!(lost.attribute("reason").unwrap().contains("within 10 s"), "{lost:?}");
        assert!(began.elapsed() <= Duration::from_secs(12), "{:?}", began.elapsed());
        stop.cancel();
        task.await.unwrap();
    }
}

#[tokio::test]
async fn containers_that_fill_the_memory_together_are_refused() {
    let engine = HostileEngine::start().await;
    let ids: Vec<String> = (0..400).map(|number| format!("{{\"Id\":\"{number:064x}\"}}")).collect();
    engine.answer("/containers/json", Answer::json(&format!("[{}]", ids.join(","))));
    let label = "x".repeat(500 << 10);
    engine.answer("*", Answer::json(&format!("{{\"Id\":\"a\",\"Config\":{{\"Labels\":{{\"a\":\"{label}\"}}}}}}")));
    let error = timeout(PATIENCE, client(&engine).containers()).await.unwrap().unwrap_err();
    assert!(matches!(error.fault, Fault::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn one_container_that_is_too_large_hides_no_other() {
    let engine = HostileEngine::start().await;
    engine.answer("/containers/json", Answer::json("[{\"Id\":\"huge\"},{\"Id\":\"web\"}]"));
    let label = "x".repeat(2 * MIB);
    engine.answer("/containers/huge/json", Answer::json(&format!("{{\"Id\":\"huge\",\"Name\":\"{label}\"}}")));
    engine.answer("/containers/web/json", Answer::json("{\"Id\":\"web\",\"Name\":\"/web\"}"));
    let containers = client(&engine).containers().await.unwrap().unwrap();
    let names: Vec<_> = containers.iter().map(|one| (one.id.as_str(), one.name.as_str())).collect();
    assert_eq!(names, [("huge", ""), ("web", "web")], "it is there, and nothing else is known of it");
    assert_eq!(containers.iter().map(|one| one.unknown).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn of_more_containers_than_are_looked_at_the_others_are_there_and_unknown() {
    let engine = HostileEngine::start().await;
    let ids: Vec<String> = (0..5_003).map(|number| format!("{{\"Id\":\"c{number}\"}}")).collect();
    engine.answer("/containers/json", Answer::json(&format!("[{}]", ids.join(","))));
    engine.answer("*", Answer::json("{\"Id\":\"one\",\"Name\":\"/one\"}"));
    let containers = client(&engine).containers().await.unwrap().unwrap();
    assert_eq!(containers.len(), 5_003);
    let unknown: Vec<_> = containers.iter().filter(|one| one.unknown).map(|one| one.id.as_str()).collect();
    assert_eq!(unknown, ["c5000", "c5001", "c5002"]);
}

#[tokio::test]
async fn a_second_look_at_the_events_is_bounded() {
    let line = "{\"Type\":\"container\",\"Action\":\"a\",\"timeNano\":1}\n";
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned();
    // Many lines, and long ones.
    for text in [line.to_owned(), "\n".to_owned(), "a\n".to_owned(), format!("{}\n", "x".repeat(PAGE - 1))] {
        let engine = HostileEngine::start().await;
        engine.answer("/events?until", Answer::endless(head.clone(), text.repeat(PAGE.div_ceil(text.len()))));
        let (sender, mut receiver) = queue(1 << 20);
        let stop = CancellationToken::new();
        tokio::time::pause();
        let task = tokio::spawn(read(client(&engine), Span::default(), None, sender, stop.clone()));
        engine.asked("/events?until").await;
        tokio::time::resume();
        let drained = async { while receiver.recv().await.is_some() {} };
        let sent = tokio::select! {
            sent = engine.sent_until_closed("/events?until") => sent,
            () = drained => panic!("the reader goes on"),
        };
        assert!(sent <= 64 * MIB + BUFFERS, "{} KiB were taken", sent >> 10);
        stop.cancel();
        task.await.unwrap();
    }
}

#[tokio::test]
async fn what_an_engine_calls_itself_is_one_clean_line() {
    let engine = HostileEngine::start().await;
    let evil = "1.2\\u001b]0;x\\u0007\\u009b31m\\u202e\\u2066\\u200b\\n3";
    let version =
        format!("{{\"Version\":\"{evil}{}\",\"ApiVersion\":\"1.41\",\"Components\":[]}}", "9".repeat(100_000));
    engine.answer("/version", Answer::json(&version));
    engine.answer("/info", Answer::json(&format!("{{\"ID\":\"{evil}\"}}")));
    engine.answer("/containers/abc/json", Answer::json(&format!("{{\"State\":{{\"Error\":\"{evil}\"}}}}")));
    let client = client(&engine);
    let mut texts = vec![client.describe().await.unwrap().to_string(), client.id().await.unwrap().to_string()];
    texts.push(client.inspect("abc").await.unwrap().unwrap().error);
    // Where an answer is quoted: by status, and as JSON of another type.
    let message = format!("HTTP/1.1 500 X\r\nContent-Length: {}\r\n\r\n{{\"message\":\"{evil}\"}}", evil.len() + 14);
    for answer in [Answer::Whole(message), Answer::json(&format!("[\"{evil}\"]"))] {
        for path in ["/containers/json", "/containers/abc/json"] {
            engine.answer(path, answer.clone());
        }
        for error in [client.containers().await.err(), client.inspect("abc").await.err()] {
            let text = error.unwrap().to_string();
            let (said, hint) = text.split_once('\n').unwrap();
            texts.extend([said.to_owned(), hint.to_owned()]);
        }
    }
    for text in texts {
        let hidden = |c: char| c.is_control() || dockbell::text::is_hidden(c);
        assert!(!text.contains(hidden) && text.len() < 1000, "{text:?}");
    }
}
