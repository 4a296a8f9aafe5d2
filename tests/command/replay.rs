//! Recordings in the forms in which people have them.

use std::fs;

use dockbell_tests::engine::container;
use dockbell_tests::program::Ended;
use tempfile::TempDir;

use crate::run;

fn replay(recording: impl AsRef<[u8]>) -> Ended {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.jsonl");
    fs::write(&path, recording).unwrap();
    run(&["replay", path.to_str().unwrap()], |_| {})
}

/// One event in two lines of text, as Docker's client prints it.
fn die(name: &str) -> String {
    container("die").name(name).image("shop/worker:2").attribute("exitCode", "3").line()
}

/// Two events in the form that `jq .` makes of them.
fn pretty() -> String {
    let pretty = |line: String| {
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&line).unwrap()).unwrap()
    };
    format!("{}\n{}\n", pretty(die("web")), pretty(die("db")))
}

#[test]
fn events_are_read_in_every_form_in_which_people_record_them() {
    let lines = format!("{}\n{}\n", die("web"), die("db"));
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let compose = r#"{"time":"2026-11-20T13:10:00.1Z","type":"container","service":"w","id":"4","action":"die","attributes":{"exitCode":"3","image":"shop/worker:2","name":"NAME"}}"#;
    let words = "2026-11-20T13:10:00.1Z container die 4 (exitCode=3, image=shop/worker:2, name=NAME)";
    let both = |line: &str| format!("{}\n{}\n", line.replace("NAME", "web"), line.replace("NAME", "db"));
    for (form, recording) in [
        ("lines", lines.clone().into_bytes()),
        ("a byte order mark", format!("\u{feff}{lines}").into_bytes()),
        ("UTF-16 of PowerShell", utf16(&format!("\u{feff}{}", lines.replace('\n', "\r\n")))),
        ("pretty-printed", pretty().into_bytes()),
        ("pretty-printed in UTF-16", utf16(&pretty())),
        ("a list", format!("[{},{}]", die("web"), die("db")).into_bytes()),
        ("docker compose events --json", both(compose).into_bytes()),
        ("docker events without a format", both(words).into_bytes()),
        ("null between", format!("null\n{}\nnull\n{}\n", die("web"), die("db")).into_bytes()),
    ] {
        let ended = replay(recording);
        assert_eq!(ended.status.code(), Some(0), "{form}: {}", ended.log);
        assert!(
            ended.log.contains("2 events, 2 messages") && !ended.log.contains("unreadable"),
            "{form}: {}",
            ended.log
        );
        for name in ["web", "db"] {
            let line = format!("{name} die (exit 3, crashed) image=shop/worker:2");
            assert!(ended.output.contains(&line), "{form}: {}", ended.output);
        }
    }
}

#[test]
fn a_recording_of_which_nothing_can_be_read_is_a_failure_with_one_hint() {
    let ended = replay("CONTAINER ID   IMAGE\n".repeat(1000));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(
        ended.log.contains("the recording holds no event: 0 events, 0 messages, 1000 unreadable lines"),
        "{}",
        ended.log
    );
    assert_eq!(ended.log.matches("hint: `docker events --format").count(), 1, "{}", ended.log);
    assert!(ended.log.lines().count() < 20, "{}", ended.log);
}

#[test]
fn what_can_be_read_beside_a_line_that_cannot_is_read() {
    let ended = replay(format!("{}\n{{\"Type\":\"contai\n{}\n{{\n", die("web"), die("db")));
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("2 events, 2 messages, 2 unreadable lines\nhint: "), "{}", ended.log);
}
