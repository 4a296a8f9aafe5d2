//! The program as a process, from an engine's event to a mail, a line on the terminal or a line in a file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use dockbell_tests::engine::{EventLine, ScriptedEngine, container};
use dockbell_tests::program::{Program, program};
use dockbell_tests::smtp::{Fault, ScriptedSmtp, Stage};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

fn dockbell() -> Command {
    program(DOCKBELL)
}

fn die(name: &str) -> EventLine {
    container("die").name(name).image("shop/worker:2").attribute("exitCode", "3")
}

/// A configuration with this engine, these routes and sinks.
fn configured(folder: &TempDir, engine: &ScriptedEngine, rest: &str) -> Command {
    let path = folder.path().join("dockbell.toml");
    fs::write(&path, format!("hostname = \"web-1\"\n[engines.local]\nhost = \"{}\"\n{rest}", engine.host())).unwrap();
    let mut command = dockbell();
    command.arg("--config").arg(path);
    command
}

fn mail_sink(mail: &ScriptedSmtp) -> String {
    format!(
        "[sinks.ops]\ntype = \"email\"\nserver = \"smtp://127.0.0.1:{}?tls=none\"\nfrom = \"dockbell@example.com\"\n\
         to = [\"ops@example.com\"]\n",
        mail.port()
    )
}

async fn watching(command: &mut Command, engine: &ScriptedEngine) -> Program {
    let program = Program::start(command);
    engine.subscribed(1).await;
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_configuration_a_crash_is_one_line_on_the_terminal() {
    let engine = ScriptedEngine::unix().await;
    let program = watching(dockbell().env("DOCKER_HOST", engine.host()), &engine).await;
    engine.send(container("exec_start: /bin/probe").name("web").line());
    engine.send(die("worker").line());
    let output = program.output(|output| output.ends_with('\n'));
    assert!(output.contains("local worker die (exit 3, crashed) image=shop/worker:2"), "{output}");
    assert_eq!(output.lines().count(), 1, "the noise is not told: {output}");
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_variables_alone_are_enough_for_mail() {
    let (engine, mail) = (ScriptedEngine::unix().await, ScriptedSmtp::start().await);
    let folder = TempDir::new().unwrap();
    let url = folder.path().join("smtp-url");
    fs::write(&url, format!("smtp://127.0.0.1:{}?tls=none\n", mail.port())).unwrap();
    let mut command = dockbell();
    command.env("DOCKER_HOST", engine.host()).env("DOCKBELL_SMTP_URL_FILE", &url);
    command.env("DOCKBELL_MAIL_TO", "ops@example.com, boss@example.com").env("DOCKBELL_HOSTNAME", "web-1");
    let program = watching(&mut command, &engine).await;
    engine.send(die("worker").line());
    let mails = mail.wait_for(1).await;
    assert_eq!(mails[0].to, ["ops@example.com", "boss@example.com"]);
    let parsed = mailparse::parse_mail(&mails[0].bytes).unwrap();
    let subject = mailparse::MailHeaderMap::get_first_value(&*parsed.headers, "Subject").unwrap();
    assert!(subject.starts_with("[web-1] worker crashed (exit 3)"), "{subject}");
    assert_eq!(program.terminate().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_what_is_open_before_it_ends() {
    let (engine, mail, folder) = (ScriptedEngine::unix().await, ScriptedSmtp::start().await, TempDir::new().unwrap());
    let text = format!("[routes.default]\nsettle = \"10m\"\n{}", mail_sink(&mail));
    let program = watching(&mut configured(&folder, &engine, &text), &engine).await;
    engine.send(die("worker").line());
    engine.send(die("web").line());
    // The engine's answer to the look at the dead container shows that the event has come through.
    engine.asked("/containers/", 2).await;
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert_eq!(mail.mails().len(), 1, "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_cannot_deliver_says_what_is_lost_and_fails() {
    let (engine, mail, folder) = (ScriptedEngine::unix().await, ScriptedSmtp::start().await, TempDir::new().unwrap());
    mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let text = format!("[routes.default]\nsettle = \"0s\"\n{}", mail_sink(&mail));
    let mut command = configured(&folder, &engine, &text);
    let path = folder.path().join("dockbell.toml");
    fs::write(&path, format!("grace = \"500ms\"\n{}", fs::read_to_string(&path).unwrap())).unwrap();
    let program = watching(&mut command, &engine).await;
    engine.send(die("worker").line());
    program.logged("421");
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("A message is lost.") && ended.log.contains("worker crashed"), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_events_are_all_counted() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let file = folder.path().join("told.jsonl");
    let text = format!(
        "[plugins.last]\ncomponent = \"match\"\nconfig = {{ name = \"the-last\" }}\n\
         [routes.default]\nformatter = \"json\"\nsettle = \"10m\"\nto = [\"file\"]\n\
         [routes.last]\nfilters = [\"last\"]\nformatter = \"plain\"\nsettle = \"0s\"\nto = [\"terminal\"]\n\
         [sinks.file]\ntype = \"file\"\npath = \"{}\"\n[sinks.terminal]\ntype = \"stdout\"\n",
        file.display()
    );
    let mut command = configured(&folder, &engine, &text);
    let path = folder.path().join("dockbell.toml");
    // The route that counts may be behind the other one when the program is to end.
    fs::write(&path, format!("grace = \"5m\"\n{}", fs::read_to_string(&path).unwrap())).unwrap();
    let program = watching(&mut command, &engine).await;
    let lines: Vec<Bytes> = (0..200_000_i64)
        .map(|number| {
            Bytes::from(container("start").name("web").at_nanos(1_795_331_484_000_000_000 + number).line() + "\n")
        })
        .collect();
    engine.send_lines(lines);
    engine.send(die("the-last").line());
    program.output(|output| output.contains("the-last"));
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let told: serde_json::Value = serde_json::from_str(fs::read_to_string(&file).unwrap().trim()).unwrap();
    assert_eq!(told["total"], 200_001, "{}\n{}", told["counts"], ended.log);
    assert_eq!(told["counts"]["container start"], 200_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_down_holds_back_no_other() {
    let (mut down, up, folder) = (ScriptedEngine::unix().await, ScriptedEngine::unix().await, TempDir::new().unwrap());
    let second = format!("[engines.other]\nhost = \"{}\"\n", up.host());
    let program = watching(&mut configured(&folder, &down, &second), &down).await;
    up.subscribed(1).await;
    down.stop().await;
    program.output(|output| output.contains("engine_lost"));
    up.send(die("worker").line());
    program.output(|output| output.contains("other worker die"));
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_run_tells_one_digest_and_ends() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    for name in ["web", "db", "worker"] {
        engine.send(die(name).line());
    }
    let file = folder.path().join("told.jsonl");
    let text = format!(
        "[routes.default]\nformatter = \"json\"\n[sinks.file]\ntype = \"file\"\npath = \"{}\"\n",
        file.display()
    );
    let ended = Program::start(configured(&folder, &engine, &text).args(["--since", "1h"])).ended();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let told = fs::read_to_string(&file).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    let told: serde_json::Value = serde_json::from_str(told.trim()).unwrap();
    assert_eq!((&told["total"], &told["phase"]), (&3.into(), &"digest".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_delivered_is_delivered_by_the_next_one() {
    let (engine, mail, folder) = (ScriptedEngine::unix().await, ScriptedSmtp::start().await, TempDir::new().unwrap());
    engine.send(die("web").line());
    let text = format!("[routes.default]\nfilters = []\n{}", mail_sink(&mail));
    let report = |state: &Path| {
        let mut command = configured(&folder, &engine, &text);
        Program::start(command.args(["--since", "1h", "--state"]).arg(state)).ended()
    };
    mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let ended = report(Path::new("none"));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(ended.log.contains("A message is lost."), "{}", ended.log);

    let state = folder.path().join("state");
    // A dockbell that watches has the state in use meanwhile.
    let watching = Program::start(configured(&folder, &engine, &text).arg("--state").arg(&state));
    engine.subscribed(2).await;
    let ended = report(&state);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("not delivered: 1 for `ops`; that is done after the next start"), "{}", ended.log);
    watching.kill();
    mail.heal();
    let ended = report(&state);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let mails = mail.mails();
    assert_eq!(mails.len(), 2, "that of the report before, and its own");
    assert!(mails.iter().all(|mail| String::from_utf8_lossy(&mail.bytes).contains("web crashed")), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_says_what_becomes_of_what_is_not_delivered() {
    for (kept, said) in [(true, "is sent after the next start"), (false, "is lost")] {
        let (engine, mail, folder) =
            (ScriptedEngine::unix().await, ScriptedSmtp::start().await, TempDir::new().unwrap());
        // The connection stays open, and the stop waits for it.
        mail.always(Stage::Greeting, Fault::Stall);
        let text = format!("[routes.default]\nfilters = []\nsettle = \"0s\"\n{}", mail_sink(&mail));
        let mut command = configured(&folder, &engine, &text);
        if kept {
            command.arg("--state").arg(folder.path().join("state"));
        }
        let program = watching(&mut command, &engine).await;
        engine.send(die("web").line());
        dockbell_tests::program::wait_until(|| mail.connections() > 0);
        program.ask_to_end();
        program.logged("SIGTERM: telling what is open, then ending");
        let ended = program.terminate();
        assert_eq!(ended.status.code(), Some(143), "{}", ended.log);
        assert!(ended.log.contains("SIGTERM again: ending at once") && ended.log.contains(said), "{}", ended.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_program_quietly() {
    let engine = ScriptedEngine::unix().await;
    let mut command = dockbell();
    command.env("DOCKER_HOST", engine.host()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    engine.subscribed(1).await;
    let mut output = BufReader::new(child.stdout.take().unwrap());
    engine.send(die("first").line());
    output.read_line(&mut String::new()).unwrap();
    drop(output);
    engine.send(die("second").line());
    let status = tokio::task::spawn_blocking(move || {
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (child.wait().unwrap(), log)
    });
    let (status, log) = status.await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn an_engine_that_is_not_there_is_said_with_a_way_to_mend_it() {
    let there_is_none = |arguments: &[&str]| {
        let mut command = dockbell();
        command.args(arguments).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        Program::start(&mut command)
    };
    let says = |text: &str, engine: &str| {
        assert!(text.contains(&format!("{engine} at `unix:///nowhere/docker.sock`")), "{text}");
        assert!(text.contains("hint: "), "{text}");
    };
    let program = there_is_none(&[]);
    program.output(|output| output.contains("engine_lost"));
    says(&program.logged("hint: "), "engine `local`");
    assert_eq!(program.terminate().status.code(), Some(0), "it waits for the engine until it is stopped");
    for (arguments, said) in [(&["--since", "1h"][..], "error: engine `local`"), (&["check"], "FAIL  engine local:")] {
        let ended = there_is_none(arguments).ended();
        assert_eq!(ended.status.code(), Some(1));
        let text = ended.log + &ended.output;
        says(&text, said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_refused_stops_the_start_with_its_name() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    fs::write(folder.path().join("mine.wasm"), "#!/bin/sh\n").unwrap();
    let text = "[plugins.mine]\ncomponent = \"mine.wasm\"\n[routes.default]\nfilters = [\"mine\"]\n";
    let ended = Program::start(&mut configured(&folder, &engine, text)).ended();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("plugin `mine`") && ended.log.contains("hint: "), "{}", ended.log);

    let text = "[plugins.trouble]\ncomponent = \"match\"\nconfig = { acton = \"die\" }\n[routes.default]\nfilters = [\"trouble\"]\n";
    let ended = Program::start(&mut configured(&folder, &engine, text)).ended();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("plugin `trouble` refuses its configuration: acton"), "{}", ended.log);
    assert!(ended.log.contains("`action`"), "the nearest key: {}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_works_and_what_does_not() {
    let (engine, mail, folder) = (ScriptedEngine::unix().await, ScriptedSmtp::start().await, TempDir::new().unwrap());
    let check = |text: &str| {
        configured(&folder, &engine, text);
        Program::start(dockbell().arg("check").arg("--config").arg(folder.path().join("dockbell.toml"))).ended()
    };
    let good = check(&mail_sink(&mail));
    assert_eq!(good.status.code(), Some(0), "{}", good.output);
    for line in ["ok    configuration", "ok    plugin email: formatter", "ok    engine local: Docker", "ok    sink ops"]
    {
        assert!(good.output.contains(line), "{line}: {}", good.output);
    }
    assert_eq!(mail.mails().len(), 0, "a check sends nothing");

    mail.always(Stage::Greeting, Fault::reply("554 5.7.1 go away"));
    let bad = check(&mail_sink(&mail));
    assert_eq!(bad.status.code(), Some(1), "{}", bad.output);
    assert!(bad.output.contains("FAIL  sink ops") && bad.output.contains("554"), "{}", bad.output);
    assert!(bad.output.contains("ok    engine local"), "one that fails hides no other: {}", bad.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_takes_long_says_what_it_waits_for() {
    let (engine, mail, folder) = (ScriptedEngine::unix().await, ScriptedSmtp::start().await, TempDir::new().unwrap());
    mail.once(Stage::Greeting, Fault::Pause(Duration::from_secs(4)));
    configured(&folder, &engine, &mail_sink(&mail));
    let ended =
        Program::start(dockbell().arg("check").arg("--config").arg(folder.path().join("dockbell.toml"))).ended();
    assert!(ended.log.contains("wait  sink ops: no answer yet"), "{}", ended.log);
    assert!(ended.output.contains("ok    sink ops: mail server"), "{}", ended.output);
}

#[test]
fn a_replay_takes_no_time_and_says_what_would_have_been_told() {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/recordings/shop.jsonl");
    let ended = Program::start(dockbell().arg("replay").arg(&recording)).ended();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let lines = fs::read_to_string(&recording).unwrap().lines().count();
    assert!(ended.log.contains(&format!("{lines} events, ")), "{}", ended.log);
    assert!(ended.output.contains("shop-worker-1 die (exit 1, crashed"), "{}", ended.output);
}

#[test]
fn a_replay_reads_standard_input_and_survives_lines_that_are_no_events() {
    let mut child = dockbell()
        .args(["replay", "-", "--output", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}\n{{\"Type\":\"contai\n{}", die("web").line(), die("db").line()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let (out, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(out.contains("web") && out.contains("db"), "{out}");
    assert!(log.contains("unreadable line"), "{log}");
    for line in out.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn the_demo_shows_the_mails_of_the_recording() {
    let folder = TempDir::new().unwrap();
    let ended = Program::start(dockbell().args(["demo", "--speed", "100", "--save"]).arg(folder.path())).ended();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let mails = ended.output.matches("Subject: [shop-host]").count();
    assert!(mails >= 3, "{}", ended.output);
    assert!(ended.output.contains("shop-worker-1"), "{}", ended.output);
    let html = fs::read_to_string(folder.path().join("mail-01.html")).unwrap();
    assert!(html.contains("<table"), "{html}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2 * mails);
}
