//! The program with a state directory: what it does about the time in which it was away, and its outbox.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::{Command, Output};

use dockbell_tests::engine::{EventLine, ScriptedEngine, container};
use dockbell_tests::program::{Program, program, wait_until};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Every event at once, as JSON on the terminal; `bad` is a sink that does not work.
const AT_ONCE: &str = "[routes.default]\nfilters = []\nformatter = \"json\"\nto = [\"terminal\"]\nsettle = \"0s\"\nwindow = \"0s\"\n\
                       [sinks.terminal]\ntype = \"stdout\"\noutput = \"json\"\n";

fn die(name: &str) -> EventLine {
    container("die").name(name).attribute("exitCode", "3")
}

struct Host {
    engine: ScriptedEngine,
    folder: TempDir,
}

impl Host {
    async fn new(rest: &str) -> Self {
        let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
        let text = format!("hostname = \"web-1\"\n[engines.local]\nhost = \"{}\"\n", engine.host());
        // Keys before the first table belong to the whole file.
        let (top, tables) = rest.split_at(rest.find('[').unwrap());
        fs::write(folder.path().join("dockbell.toml"), format!("{top}{text}{tables}")).unwrap();
        Self { engine, folder }
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self) -> Command {
        let mut command = program(DOCKBELL);
        command.env("DOCKBELL_STATE", self.state()).env("DOCKBELL_CONFIG", self.folder.path().join("dockbell.toml"));
        command
    }

    async fn watching(&self, times: usize) -> Program {
        let program = Program::start(&mut self.command());
        self.engine.subscribed(times).await;
        program
    }

    fn says(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }
}

/// All events that were told: action, name, facts.
fn told(output: &str) -> Vec<(String, String, Value)> {
    let mut told = Vec::new();
    for line in output.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        for event in message["events"].as_array().unwrap() {
            let name = event["Actor"]["Attributes"]["name"].as_str().unwrap_or_default();
            told.push((event["Action"].as_str().unwrap().to_owned(), name.to_owned(), event["facts"].clone()));
        }
    }
    told
}

fn names(output: &str) -> Vec<String> {
    told(output).into_iter().filter(|(action, ..)| action == "die").map(|(_, name, _)| name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_dockbell_was_away_is_told_once_and_as_late() {
    let host = Host::new(AT_ONCE).await;
    let first = host.watching(1).await;
    host.engine.send(die("before").line());
    first.output(|output| output.contains("before"));
    let ended = first.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    host.engine.send(die("meanwhile").line());
    let second = host.watching(2).await;
    host.engine.send(die("after").line());
    second.output(|output| output.contains("after"));
    let ended = second.terminate();
    assert_eq!(names(&ended.output), ["meanwhile", "after"], "{}", ended.output);
    let late = told(&ended.output).into_iter().find(|(_, name, _)| name == "meanwhile").unwrap().2;
    assert_eq!(late["late"], "true");
    assert!(!ended.output.contains("\"gap\""), "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_forgot_meanwhile_is_a_gap_and_is_inferred_from_its_containers() {
    let host = Host::new(AT_ONCE).await;
    let id = "ab".repeat(32);
    let state = |state: Value| {
        json!({"Id": id, "Name": "/web", "Created": "2026-01-01T00:00:00Z", "State": state, "Config": {"Image": "shop/web"}})
            .to_string()
    };
    host.engine.set_container(&id, &state(json!({"Running": true, "StartedAt": "2026-01-01T00:00:00Z"})));
    let first = host.watching(1).await;
    host.engine.asked(&id, 1).await;
    host.engine.send(die("before").line());
    first.output(|output| output.contains("before"));
    assert_eq!(first.terminate().status.code(), Some(0));

    host.engine.forget();
    let died = Timestamp::now().to_string();
    host.engine.set_container(&id, &state(json!({"Running": false, "FinishedAt": died, "ExitCode": 7})));
    let second = host.watching(2).await;
    second.output(|output| output.contains("inferred"));
    let ended = second.terminate();
    let told = told(&ended.output);
    assert!(told.iter().any(|(action, ..)| action == "gap"), "{}", ended.output);
    let (_, name, facts) = told.iter().find(|(action, ..)| action == "die").unwrap();
    assert_eq!((name.as_str(), &facts["exit-code"], &facts["cause"]), ("web", &json!("7"), &json!("crashed")));
    assert_eq!(facts["inferred"], "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_under_the_name_is_a_gap_and_gets_no_old_messages() {
    let down = "[routes.default]\nfilters = []\nto = [\"ops\"]\nsettle = \"0s\"\n\
                [sinks.ops]\ntype = \"file\"\npath = \"/proc/no/such/folder\"\n";
    let host = Host::new(down).await;
    host.engine.be("FIRST");
    let first = host.watching(1).await;
    host.engine.send(die("web").line());
    first.logged("its messages wait");
    let _ = first.terminate();
    host.engine.be("SECOND");
    let second = host.watching(2).await;
    second.logged("another engine answers under this name");
    second.logged("its messages are not sent");
    let _ = second.terminate();
    let listed = String::from_utf8(host.says(&["outbox", "list", "--only", "held"]).stdout).unwrap();
    assert!(listed.contains("web crashed"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_listed_shown_retried_and_emptied_while_the_program_runs() {
    let host =
        Host::new("[routes.default]\nto = [\"ops\"]\nsettle = \"0s\"\n[sinks.ops]\ntype = \"file\"\npath = \"PATH\"\n")
            .await;
    let (config, folder) = (host.folder.path().join("dockbell.toml"), host.folder.path().join("later"));
    let file = folder.join("told.jsonl");
    fs::write(&config, fs::read_to_string(&config).unwrap().replace("PATH", &file.display().to_string())).unwrap();
    let program = host.watching(1).await;
    host.engine.send(die("web").line());
    program.logged("its messages wait");
    let listed = host.says(&["outbox", "list", "--output", "json"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let message: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let id = message["id"].as_str().unwrap();
    assert!(
        message["sink"] == "ops" && ["pending", "sending"].contains(&message["state"].as_str().unwrap()),
        "{listed}"
    );

    // It is said in the log before the attempt is stored.
    let show = || String::from_utf8(host.says(&["outbox", "show", id]).stdout).unwrap();
    wait_until(|| show().contains("attempt 1"));
    let shown = show();
    assert!(shown.contains("attempt 1") && shown.contains("web crashed") && shown.contains("No such file"), "{shown}");

    fs::create_dir(&folder).unwrap();
    let retried = host.says(&["outbox", "retry", id]);
    assert_eq!(String::from_utf8(retried.stdout).unwrap(), "1 message is to be sent again\n");
    program.logged("The sink takes messages again");
    assert!(fs::read_to_string(&file).unwrap().contains("web crashed"));

    let gone = host.says(&["outbox", "drop", id]);
    assert_eq!(String::from_utf8(gone.stdout).unwrap(), "1 message is removed\n");
    let again = host.says(&["outbox", "drop", id]);
    assert!(!again.status.success() && String::from_utf8(again.stderr).unwrap().contains("hint: "));
    let _ = program.terminate();
    // Beside no running program, the store itself is changed.
    let again = host.says(&["outbox", "drop", id]);
    assert!(String::from_utf8(again.stderr).unwrap().contains("none of the 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_takes_is_told_to_the_fallback_sink() {
    let host = Host::new(
        "fallback = \"terminal\"\n[routes.default]\nto = [\"ops\"]\nsettle = \"0s\"\nformatter = \"json\"\n\
         [sinks.ops]\ntype = \"email\"\nserver = \"smtp://127.0.0.1:PORT?tls=none\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n\
         [sinks.terminal]\ntype = \"stdout\"\n",
    )
    .await;
    let mail = dockbell_tests::smtp::ScriptedSmtp::start().await;
    mail.always(dockbell_tests::smtp::Stage::Rcpt, dockbell_tests::smtp::Fault::reply("550 5.1.1 no such user"));
    let config = host.folder.path().join("dockbell.toml");
    fs::write(&config, fs::read_to_string(&config).unwrap().replace("PORT", &mail.port().to_string())).unwrap();
    let program = host.watching(1).await;
    host.engine.send(die("web").line());
    let output = program.output(|output| output.contains("a message to sink ops was given up"));
    assert!(output.contains("no such user"), "{output}");
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert_eq!(mail.mails().len(), 0);
    let dead = String::from_utf8(host.says(&["outbox", "list", "--only", "dead"]).stdout).unwrap();
    assert!(dead.contains("550 5.1.1 no such user"), "{dead}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_says_who_got_it_and_who_did_not() {
    let host = Host::new(AT_ONCE).await;
    let sent = host.says(&["send", "--to", "terminal"]);
    let (output, log) = (String::from_utf8(sent.stdout).unwrap(), String::from_utf8(sent.stderr).unwrap());
    assert!(sent.status.success() && output.contains("test message from dockbell"), "{output}{log}");
    let missing = host.says(&["send", "--to", "nobody"]);
    let log = String::from_utf8(missing.stderr).unwrap();
    assert!(
        !missing.status.success()
            && log.contains("there is no sink `nobody`")
            && log.contains("hint: sinks: `terminal`")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_terminal_needs_no_state_and_disturbs_nobody() {
    let host = Host::new(AT_ONCE).await;
    let running = host.watching(1).await;
    let home = host.folder.path().join("home");
    let mut command = host.command();
    command.env_remove("DOCKBELL_STATE").env("HOME", &home);
    let looking = Program::start(&mut command);
    host.engine.subscribed(2).await;
    host.engine.send(die("web").line());
    looking.output(|output| output.contains("web"));
    running.output(|output| output.contains("web"));
    assert_eq!((looking.terminate().status.code(), running.terminate().status.code()), (Some(0), Some(0)));
    assert!(!home.join(".local").exists(), "but for compiled plugins it keeps nothing");
}
