//! What an engine may send, and what must come of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::time::Duration;

use bytes::Bytes;
use dockbell::engine::{End, Span};
use dockbell::event::{Fact, OWN_KIND};
use dockbell_tests::engine::{ScriptedEngine, Watch, container, event};

#[tokio::test]
async fn an_event_arrives_with_all_it_says() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let sent = container("die").name("web-1").image("nginx:1.27").attribute("exitCode", "3").legacy();
    engine.send(&sent);
    let event = watch.next().await;
    assert_eq!(&*event.engine, "local");
    assert_eq!((event.kind.as_str(), event.action.as_str(), event.scope.as_str()), ("container", "die", "local"));
    assert_eq!(event.time_nanos, sent.time_nanos());
    assert_eq!(event.actor_id.len(), 64);
    let attributes: Vec<_> = event.attributes.iter().collect();
    assert_eq!(attributes, [("exitCode", "3"), ("image", "nginx:1.27"), ("name", "web-1")]);
    assert_eq!(event.facts, []);
}

#[tokio::test]
async fn nothing_from_before_the_start_is_told() {
    let engine = ScriptedEngine::unix().await;
    engine.send(container("die").name("before"));
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die").name("after"));
    assert_eq!(watch.next().await.attribute("name"), Some("after"));
}

#[tokio::test]
async fn types_actions_and_scopes_that_nobody_knows_are_kept() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.send(event("pod", "create"));
    engine.send(event("quantum", "entangle: with b"));
    engine.send_raw(
        r#"{"Type":"container","Action":"die","scope":"galaxy","new":{"field":[1]},"timeNano":5,"Actor":{"ID":"a"}}"#
            .to_owned()
            + "\n",
    );
    assert_eq!(watch.next().await.kind, "pod");
    let unknown = watch.next().await;
    assert_eq!((unknown.action.as_str(), unknown.detail.as_str()), ("entangle", "with b"));
    assert_eq!(watch.next().await.scope, "galaxy");
}

#[tokio::test]
async fn a_poisonous_line_is_told_and_the_next_event_comes() {
    let truncated = br#"{"Type":"container","Action":"di"#;
    let poison: [&[u8]; 6] = [
        truncated,
        b"\0\0\0",
        b"[1,2]",
        br#"{"message":"proxy error"}"#,
        b"{\"Type\":\"container\",\"Action\":\"die\x01\"}",
        b"\x1b[31m<html>",
    ];
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    for line in poison {
        engine.send_raw([line, b"\n"].concat());
        let good = container("start");
        engine.send(&good);
        let gap = watch.next().await;
        assert_eq!((gap.kind.as_str(), gap.action.as_str()), (OWN_KIND, "gap"));
        assert_eq!(gap.attribute("reason"), Some("unreadable line"));
        assert_eq!(gap.attribute("bytes"), Some(line.len().to_string().as_str()));
        let excerpt = gap.attribute("excerpt").unwrap();
        assert!(!excerpt.is_empty() && !excerpt.chars().any(char::is_control), "{excerpt:?}");
        assert_eq!(watch.next().await.time_nanos, good.time_nanos(), "after {:?}", String::from_utf8_lossy(line));
    }
}

#[tokio::test]
async fn a_line_of_ten_megabytes_is_told_and_the_next_event_comes() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die").name("long").attribute("label", &"x".repeat(10_000_000)));
    for _ in 0..3 {
        engine.send(container("start"));
    }
    let gap = watch.next().await;
    assert_eq!(gap.action, "gap");
    assert!(gap.attribute("bytes").unwrap().parse::<u64>().unwrap() > 10_000_000);
    assert!(gap.attribute("excerpt").unwrap().contains(r#""Action":"die""#));
    assert!(gap.attribute("excerpt").unwrap().chars().count() <= 200);
    for _ in 0..3 {
        assert_eq!(watch.next().await.action, "start");
    }
}

#[tokio::test]
async fn invalid_utf8_costs_a_character_and_not_the_event() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let line = container("die").name("web").attribute("label", "§").line();
    let (before, after) = line.split_once('§').unwrap();
    engine.send_raw([before.as_bytes(), b"\xff\xfe", after.as_bytes(), b"\n"].concat());
    let event = watch.next().await;
    assert_eq!(event.attribute("name"), Some("web"));
    assert_eq!(event.attribute("label"), Some("\u{fffd}\u{fffd}"));
}

#[tokio::test]
async fn labels_of_any_size_and_content_arrive_unchanged() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let label = "\u{1b}[31m\r\n\u{202e}\0\"\\<&>🐳".repeat(4000);
    engine.send(container("die").attribute("label", &label));
    assert_eq!(watch.next().await.attribute("label"), Some(label.as_str()));
}

#[tokio::test]
async fn a_line_may_be_cut_into_chunks_anywhere() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let sent = container("die").name("wäb").attribute("exitCode", "3");
    let length = sent.line().len() + 2;
    for cut in 0..=length {
        let line = sent.clone().at_nanos(sent.time_nanos() + i64::try_from(cut).unwrap()).line() + "\r\n";
        let (a, b) = line.as_bytes().split_at(cut);
        engine.send_raw(a.to_vec());
        tokio::task::yield_now().await;
        engine.send_raw(b.to_vec());
    }
    for cut in 0..=length {
        let event = watch.next().await;
        assert_eq!(event.time_nanos, sent.time_nanos() + i64::try_from(cut).unwrap());
        assert_eq!(event.attribute("name"), Some("wäb"));
    }
}

#[tokio::test]
async fn events_that_wait_come_together_and_not_more_than_256() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let lines: String = (0..600).map(|_| container("start").line() + "\n").collect();
    engine.send_raw(lines);
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < 600 {
        sizes.push(watch.batch().await.len());
    }
    assert!(sizes.iter().all(|size| *size <= 256) && sizes.len() < 10, "{sizes:?}");
}

#[tokio::test]
async fn a_full_queue_stops_no_reader_and_is_told_with_its_count_before_the_next_event() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::start(&engine, Span::default(), 64 * 1024);
    engine.subscribed(1).await;
    let sent: Vec<_> = (0..20_000).map(|_| container("start")).collect();
    engine.send_lines(sent.iter().map(|event| Bytes::from(event.line() + "\n")));
    engine.send(container("stop"));
    // The engine gets rid of all it has to say though nobody takes anything out of the queue.
    engine.drained().await;
    let mut told = 0_u64;
    let mut missed = 0_u64;
    loop {
        let event = watch.next().await;
        match event.action.as_str() {
            "start" | "stop" => told += 1,
            "gap" => {
                assert_eq!(event.attribute("reason"), Some("dockbell fell behind"));
                let (from, to) = (event.attribute("from").unwrap(), event.attribute("to").unwrap());
                assert!(from.parse::<jiff::Timestamp>().unwrap() <= to.parse::<jiff::Timestamp>().unwrap());
                missed += event.attribute("missed").unwrap().parse::<u64>().unwrap();
            }
            other => panic!("{other}"),
        }
        if told + missed == 20_001 {
            break;
        }
    }
    assert!(missed > 10_000, "a queue of 64 KiB holds far fewer events: {missed} missed");
    // It goes on as if nothing had been.
    engine.send(container("restart"));
    assert_eq!(watch.next().await.action, "restart");
}

#[tokio::test]
async fn a_gap_is_told_as_soon_as_there_is_room_though_nothing_else_happens() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::start(&engine, Span::default(), 4 * 1024);
    engine.subscribed(1).await;
    for _ in 0..100 {
        engine.send(container("start"));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut told, mut missed) = (0, 0);
    while told + missed < 100 {
        let event = watch.next().await;
        match event.attribute("missed") {
            Some(count) => missed += count.parse::<u64>().unwrap(),
            None => told += 1,
        }
    }
    assert!(told > 0 && missed > 0, "{told} told, {missed} missed");
}

#[tokio::test]
async fn the_reader_ends_when_it_is_told_to_and_leaves_the_engine() {
    let engine = ScriptedEngine::unix().await;
    let watch = Watch::live(&engine).await;
    engine.send(container("die"));
    watch.stop();
    let (_, end) = watch.rest().await;
    assert!(matches!(end, End::Stopped), "{end:?}");
    engine.unsubscribed().await;
}

#[tokio::test]
async fn the_reader_ends_when_nobody_listens() {
    let engine = ScriptedEngine::unix().await;
    let watch = Watch::live(&engine).await;
    watch.abandon();
    engine.unsubscribed().await;
}

#[tokio::test]
async fn two_events_of_the_same_nanosecond_are_both_told() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let time = container("die").time_nanos();
    for name in ["a", "b"] {
        engine.send(container("die").name(name).at_nanos(time));
    }
    assert_eq!(watch.next().await.attribute("name"), Some("a"));
    assert_eq!(watch.next().await.attribute("name"), Some("b"));
}

#[tokio::test]
async fn an_event_that_comes_out_of_the_memory_and_live_is_told_once() {
    let engine = ScriptedEngine::unix().await;
    let mut watch = Watch::live(&engine).await;
    let twice = container("die");
    engine.send(&twice);
    engine.send(&twice);
    engine.send(container("start"));
    assert_eq!(watch.next().await.action, "die");
    let next = watch.next().await;
    assert_eq!(next.action, "start");
    assert_eq!(next.fact(Fact::Late), None);
}

#[tokio::test]
async fn podmans_words_become_dockers() {
    let engine = ScriptedEngine::unix().await;
    engine.be_podman();
    let mut watch = Watch::live(&engine).await;
    engine.send(container("died").attribute("containerExitCode", "3"));
    engine.send(container("remove"));
    engine.send(container("exec_died"));
    engine.send_raw(container("health_status").line().replacen('{', r#"{"HealthStatus":"unhealthy","#, 1) + "\n");
    let died = watch.next().await;
    assert_eq!((died.action.as_str(), died.attribute("exitCode")), ("die", Some("3")));
    assert!(died.attributes.iter().is_sorted());
    assert_eq!(watch.next().await.action, "destroy");
    assert_eq!(watch.next().await.action, "exec_die");
    let health = watch.next().await;
    assert_eq!((health.action.as_str(), health.detail.as_str()), ("health_status", "unhealthy"));
}
