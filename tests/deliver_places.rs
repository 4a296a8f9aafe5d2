//! Messages on a terminal and in a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use dockbell::config::{FileConfig, Output, SinkConfig, StdoutConfig};
use dockbell::deliver::{Fault, Retry, Sink, Stdout};
use dockbell::message::Message;
use dockbell::store::Place;
use dockbell_tests::deliver::{HOST, Post, form, message, soon, text_message};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

/// What a terminal shows of these messages.
async fn shown(output: Output, colour: bool, messages: &[Message]) -> String {
    let (place, mut reader) = tokio::io::duplex(1 << 20);
    let mut sink = Sink::Stdout(Stdout::to(output, colour, place));
    for message in messages {
        let sealed = sink.seal(message).unwrap();
        assert_eq!(sink.deliver(&sealed).await.accepted.len(), 1);
    }
    drop(sink);
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    text
}

fn file(path: &std::path::Path) -> Sink {
    let config = SinkConfig::File(FileConfig { path: path.to_owned() });
    Sink::open("archive", &config, HOST, None).unwrap()
}

async fn write(sink: &mut Sink, number: u128) -> dockbell::deliver::Attempt {
    let sealed = sink.seal(&message(number, &format!("message {number}"))).unwrap();
    sink.deliver(&sealed).await
}

fn subjects(path: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["subject"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_line_stands_alone_and_more_stand_under_their_subject() {
    let messages = [
        text_message(1, "web died", "web died (exit 137)\n"),
        text_message(2, "3 events", "web died\nweb started\n"),
        text_message(3, "no text", ""),
    ];
    let text = shown(Output::Text, false, &messages).await;
    assert_eq!(text, "web died (exit 137)\n3 events\nweb died\nweb started\n\nno text\n");
}

#[tokio::test]
async fn a_terminal_shows_how_bad_it_is() {
    for (severity, code) in [("error", "\x1b[1m\x1b[31m"), ("warning", "\x1b[1m\x1b[33m"), ("info", "\x1b[1m")] {
        let mut message = text_message(1, "web died", "a\nb");
        message.notification.fields = vec![("severity".to_owned(), severity.to_owned())];
        let text = shown(Output::Text, true, &[message]).await;
        assert_eq!(text, format!("{code}web died\x1b[0m\na\nb\n\n"));
    }
}

#[tokio::test]
async fn nothing_from_a_container_steers_the_terminal() {
    let evil = text_message(1, "web\x1b]0;title\x07\r\nforged", "a\x1b[2J\u{9b}31m\rb\n\u{202e}c\0");
    for colour in [false, true] {
        let text = shown(Output::Text, colour, std::slice::from_ref(&evil)).await;
        let plain = text.replace("\x1b[1m\x1b[31m", "").replace("\x1b[0m", "");
        assert!(plain.chars().all(|c| !c.is_control() || c == '\n'), "{plain:?}");
        assert!(plain.starts_with("web\u{fffd}]0;title\u{fffd}  forged\na\u{fffd}[2J"), "{plain:?}");
    }
    let json = shown(Output::Json, false, &[evil]).await;
    assert!(json.trim_end().chars().all(|c| !c.is_ascii_control()), "{json:?}");
}

#[tokio::test]
async fn json_is_one_line_a_message() {
    let mut own = message(1, "web died");
    own.notification.alternatives.push(form("application/json", "{\n  \"a\": \"x\\ny\"\r\n}\n"));
    let mut broken = message(2, "web died");
    broken.notification.alternatives.push(form("application/json", "{\"a\": "));
    let text = shown(Output::Json, false, &[own, broken]).await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], serde_json::json!({ "a": "x\ny" }));
    assert_eq!(
        lines[1],
        serde_json::json!({
            "id": "01J80000000000000000000002", "route": "default", "group": "shop/web", "phase": "first",
            "time": "2026-11-22T12:00:00Z", "subject": "web died", "text": "web died\nexit code 137\n",
            "fields": { "severity": "error" },
        })
    );
}

#[tokio::test]
async fn what_the_command_line_says_of_the_output_holds() {
    let config = SinkConfig::Stdout(StdoutConfig { output: Output::Text });
    let mut sink = Sink::open("terminal", &config, HOST, Some(Output::Json)).unwrap();
    assert_eq!(sink.check().await.unwrap(), "standard output, JSON lines");
    let mut sink = Sink::open("terminal", &config, HOST, None).unwrap();
    assert!(sink.check().await.unwrap().ends_with("text"));
}

#[tokio::test]
async fn a_file_gets_a_line_a_message() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.jsonl");
    let outbox = Post::start(&Place::Memory, "archive", [file(&path), file(&path)], Retry::default()).await;
    for number in 0..3 {
        outbox.send("archive", &message(number, &format!("message {number}"))).await;
    }
    assert_eq!(outbox.close(Duration::from_secs(20)).await.lost(), 0);
    assert_eq!(subjects(&path), ["message 0", "message 1", "message 2"]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o007, 0, "not for everybody's eyes");
}

#[tokio::test]
async fn a_file_that_was_moved_away_or_removed_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let (path, old) = (folder.path().join("events.jsonl"), folder.path().join("events.jsonl.1"));
    let mut sink = file(&path);
    write(&mut sink, 1).await;
    fs::rename(&path, &old).unwrap();
    write(&mut sink, 2).await;
    assert_eq!((subjects(&old), subjects(&path)), (vec!["message 1".to_owned()], vec!["message 2".to_owned()]));
    fs::remove_file(&path).unwrap();
    write(&mut sink, 3).await;
    assert_eq!(subjects(&path), ["message 3"]);
}

#[tokio::test]
async fn a_link_that_was_turned_to_another_file_is_followed() {
    let folder = TempDir::new().unwrap();
    let (link, a, b) = (folder.path().join("events"), folder.path().join("a"), folder.path().join("b"));
    std::os::unix::fs::symlink(&a, &link).unwrap();
    let mut sink = file(&link);
    write(&mut sink, 1).await;
    let new = folder.path().join("new");
    std::os::unix::fs::symlink(&b, &new).unwrap();
    fs::rename(&new, &link).unwrap();
    write(&mut sink, 2).await;
    assert_eq!((subjects(&a), subjects(&b)), (vec!["message 1".to_owned()], vec!["message 2".to_owned()]));
}

#[tokio::test]
async fn a_last_line_that_was_cut_off_is_ended_first() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.jsonl");
    fs::write(&path, "{\"subject\":\"whole\"}\n{\"subj").unwrap();
    write(&mut file(&path), 1).await;
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1], "{\"subj");
    assert!(lines[2].contains("message 1") && text.ends_with("}\n"));
}

#[tokio::test]
async fn a_full_disk_is_waited_out() {
    // Every write to this device fails with ENOSPC.
    let failure = write(&mut file("/dev/full".as_ref()), 1).await.failed.remove(0).1;
    assert_eq!((failure.fault, failure.lasting), (Fault::Sink, false));
    assert!(failure.error.contains("No space left") && failure.hint.unwrap().contains("make room"));
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named_and_its_coming_ends_the_wait() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sub/events.jsonl");
    let mut sink = file(&path);
    let error = sink.check().await.unwrap_err().to_string();
    assert!(error.starts_with("sink `archive`: ") && error.contains("sub/events.jsonl`"), "{error}");
    assert!(error.contains("\nhint: make the folder"), "{error}");

    let outbox = Post::start(&Place::Memory, "archive", [file(&path), sink], soon()).await;
    outbox.send("archive", &message(1, "message 1")).await;
    let mut stats = outbox.stats("archive").unwrap();
    stats.wait_for(|stats| stats.retried > 1).await.unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    outbox.all_told().await;
    assert_eq!(subjects(&path), ["message 1"]);
}

#[tokio::test]
async fn a_check_of_a_file_makes_it_and_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.jsonl");
    assert_eq!(file(&path).check().await.unwrap(), format!("file `{}`, JSON lines", path.display()));
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);

    let error = file(folder.path()).check().await.unwrap_err().to_string();
    assert!(error.contains("directory") && error.contains("hint: "), "{error}");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

/// A pipe with a name.
fn pipe(folder: &TempDir) -> std::path::PathBuf {
    let path = folder.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    path
}

#[tokio::test]
async fn a_pipe_gets_each_line_once() {
    let folder = TempDir::new().unwrap();
    let path = pipe(&folder);
    let mut reader = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&path).unwrap();
    let mut sink = file(&path);
    for number in 0..3 {
        assert_eq!(write(&mut sink, number).await.failed, []);
    }
    drop(sink);
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    let subject = |line: &str| serde_json::from_str::<Value>(line).unwrap()["subject"].as_str().unwrap().to_owned();
    let told: Vec<String> = text.lines().map(subject).collect();
    assert_eq!(told, ["message 0", "message 1", "message 2"]);
}

#[tokio::test]
async fn a_line_waits_for_somebody_who_reads_the_pipe() {
    let folder = TempDir::new().unwrap();
    let path = pipe(&folder);
    let mut sink = file(&path);
    let failure = write(&mut sink, 1).await.failed.remove(0).1;
    assert_eq!((failure.fault, failure.lasting), (Fault::Sink, false));
    assert!(failure.hint.unwrap().contains("start what reads the pipe"));
    let open = || tokio::net::unix::pipe::OpenOptions::new().open_receiver(&path).unwrap();
    let reader = open();
    assert_eq!(write(&mut sink, 2).await.failed, []);
    drop(reader);
    let failure = write(&mut sink, 3).await.failed.remove(0).1;
    assert_eq!((failure.fault, failure.lasting), (Fault::Sink, false));
    let mut reader = open();
    assert_eq!(write(&mut sink, 4).await.failed, []);
    drop(sink);
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert!(text.lines().count() == 1 && text.contains("message 4"), "{text}");
}

#[tokio::test]
async fn a_device_takes_a_line_without_a_disk() {
    assert_eq!(write(&mut file("/dev/null".as_ref()), 1).await.failed, []);
}
