//! Engines that are not there, do not answer or answer without end: the program starts, says so, and does its work for the
//! others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;

use dockbell_tests::engine::{Answer, HostileEngine, PAGE, ScriptedEngine, container};
use dockbell_tests::program::{Program, program};
use dockbell_tests::rig::{Rig, Told, numbered, own};
use dockbell_tests::smtp::{Fault, Stage};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Mails everything as JSON at once, and shows it on the terminal.
const ROUTES: &str = "[routes.default]\nformatter = \"json\"\nfilters = []\nsettle = \"0s\"\nwindow = \"100ms\"\nto = [\"ops\"]\n\
     [routes.seen]\nformatter = \"plain\"\nfilters = []\nsettle = \"0s\"\nwindow = \"0s\"\nto = [\"terminal\"]\n\
     [sinks.terminal]\ntype = \"stdout\"\n";

fn total(told: &[Told]) -> u64 {
    told.iter().map(Told::of_engine).sum()
}

/// A rig whose state directory knows the engine, and in which the mail about event 0 waits.
async fn rig_with_waiting_mail(rest: &str) -> Rig {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("grace = \"2s\"", ROUTES);
    rig.mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let program = rig.start().await;
    rig.engine.send(numbered(0));
    program.logged("421");
    program.terminate();
    assert!(rig.told().is_empty());
    rig.mail.heal();
    rig.configure("grace = \"2s\"", &format!("{ROUTES}{rest}"));
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_engine_the_program_sends_what_waits_and_goes_on_when_the_engine_is_there() {
    let mut rig = rig_with_waiting_mail("").await;
    rig.engine.stop().await;
    let program = Program::start(&mut rig.command(&rig.state()));
    let told = rig.wait_told(|told| total(told) == 1 && own(told, "engine_lost") == 1).await;
    assert_eq!(own(&told, "engine_back"), 0);
    program.logged("there is no socket");
    let streams = rig.engine.streams();
    rig.engine.restart().await;
    rig.engine.subscribed(streams + 1).await;
    rig.engine.send(numbered(1));
    rig.wait_told(|told| total(told) == 2 && own(told, "engine_back") == 1).await;
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert_eq!(own(&rig.told(), "engine_lost"), 1, "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_between_the_start_and_the_first_answer_is_told() {
    let mut engine = ScriptedEngine::unix().await;
    engine.stop().await;
    let program = Program::start(program(DOCKBELL).env("DOCKER_HOST", engine.host()));
    program.logged("there is no socket");
    // It happens while the engine runs already, and dockbell waits for its next attempt or has just made it.
    engine.restart().await;
    engine.send(container("die").name("early").attribute("exitCode", "3"));
    program.output(|output| output.contains("early die"));
    assert_eq!(program.terminate().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_never_answers_holds_up_no_other() {
    let (other, rig) = (ScriptedEngine::unix().await, Rig::new(DOCKBELL).await);
    rig.configure("", &format!("{ROUTES}[engines.other]\nhost = \"{}\"\n", other.host()));
    // So that the engine is known.
    let program = rig.start().await;
    rig.engine.send(numbered(0));
    rig.wait_told(|told| total(told) == 1).await;
    program.terminate();
    rig.engine.stall(true);
    let program = Program::start(&mut rig.command(&rig.state()));
    other.subscribed(2).await;
    other.send(numbered(1));
    program.output(|output| output.contains("other e-1 "));
    let log = program.log(|_| true);
    assert!(!log.contains("no answer to"), "the other engine was not waited for: {log}");
    let told = rig.wait_told(|told| total(told) == 2 && own(told, "engine_lost") == 1).await;
    assert_eq!(own(&told, "gap"), 0);
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_though_the_engine_never_answers() {
    let rig = rig_with_waiting_mail("").await;
    rig.engine.stall(true);
    let program = Program::start(&mut rig.command(&rig.state()));
    rig.wait_told(|told| total(told) == 1 && own(told, "engine_lost") == 1).await;
    assert_eq!(program.terminate().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_an_engine_that_never_answers() {
    let rig = rig_with_waiting_mail("").await;
    rig.engine.stall(true);
    let requests = rig.engine.requests().len();
    let program = Program::start(&mut rig.command(&rig.state()));
    while !rig.engine.requests()[requests..].iter().any(|path| path == "/info") {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(!ended.log.contains("no answer to"), "{}", ended.log);
    rig.engine.stall(false);
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 1).await;
    program.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_answers_without_end_takes_no_memory_and_holds_up_no_other() {
    let (hostile, other, folder) =
        (HostileEngine::start().await, ScriptedEngine::unix().await, TempDir::new().unwrap());
    let ok = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    for path in ["/version", "/info", "/containers/json", "*"] {
        hostile.answer(path, Answer::endless(ok.to_owned(), "[1,".repeat(PAGE / 3)));
    }
    hostile.answer("/events", Answer::endless(ok.to_owned(), "x".repeat(PAGE)));
    let text = format!("[engines.bad]\nhost = \"{}\"\n[engines.good]\nhost = \"{}\"\n", hostile.host(), other.host());
    let path = folder.path().join("dockbell.toml");
    fs::write(
        &path,
        format!(
            "{text}[routes.default]\nengines = [\"good\"]\nformatter = \"plain\"\nsettle = \"0s\"\nwindow = \"0s\"\n"
        ),
    )
    .unwrap();
    let program = Program::start(program(DOCKBELL).arg("--config").arg(&path));
    other.subscribed(1).await;
    for path in ["/version", "/info", "/containers/json"] {
        hostile.sent_until_closed(path).await;
    }
    hostile.asked("/events").await;
    other.send(container("die").name("worker").attribute("exitCode", "3"));
    program.output(|output| output.contains("good worker die"));
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("at most {} MiB", peak >> 10);
    assert!(peak < 512 << 10, "{} MiB", peak >> 10);
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_by_itself_needs_all_of_its_engines() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let path = folder.path().join("dockbell.toml");
    let text = format!(
        "[engines.good]\nhost = \"{}\"\n[engines.none]\nhost = \"unix:///nowhere/docker.sock\"\n",
        engine.host()
    );
    fs::write(&path, text).unwrap();
    let ended = Program::start(program(DOCKBELL).arg("--config").arg(&path).args(["--since", "1h"])).ended();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(ended.log.contains("error: engine `none` at `unix:///nowhere/docker.sock`"), "{}", ended.log);
    assert!(ended.log.contains("hint: "), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_engine_says_reaches_the_terminal_as_it_is() {
    let engine = HostileEngine::start().await;
    let evil = "1\\u001b]0;x\\u0007\\u009b31m\\u202e\\u200b";
    engine.answer("/version", Answer::json(&format!("{{\"Version\":\"{evil}\",\"ApiVersion\":\"1.41\"}}")));
    let checked = Program::start(program(DOCKBELL).arg("check").env("DOCKER_HOST", engine.host())).ended();
    assert_eq!(checked.status.code(), Some(0), "{}", checked.output);
    let said = format!("{{\"message\":\"{evil}\"}}");
    let refusal = format!("HTTP/1.1 500 No\r\nContent-Length: {}\r\n\r\n{said}", said.len());
    engine.answer("/_ping", Answer::Whole(refusal));
    let failed = Program::start(program(DOCKBELL).arg("check").env("DOCKER_HOST", engine.host())).ended();
    assert_eq!(failed.status.code(), Some(1), "{}", failed.output);
    let bounded = Program::start(program(DOCKBELL).args(["--since", "1h"]).env("DOCKER_HOST", engine.host())).ended();
    assert_eq!(bounded.status.code(), Some(1), "{}", bounded.log);
    for text in [checked.output, failed.output, bounded.log] {
        assert!(text.contains('\u{fffd}'), "{text:?}");
        let steers = |c: char| dockbell::text::is_hidden(c) && c != '\u{fffd}';
        assert!(!text.contains(steers), "{text:?}");
    }
}
