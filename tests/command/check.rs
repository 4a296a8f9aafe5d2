//! `dockbell check`: which file it read, where the state goes, and its JSON.

use std::fs;
use std::path::Path;
use std::process::Command;

use dockbell_tests::engine::ScriptedEngine;
use dockbell_tests::program::{Ended, Program, program};
use serde_json::Value;
use tempfile::TempDir;

use crate::run;

fn check(engine: &ScriptedEngine, arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Ended {
    let mut all = vec!["check"];
    all.extend(arguments);
    run(&all, |command| {
        command.env("DOCKER_HOST", engine.host());
        prepare(command);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_which_file_it_read_and_counts_in_plain_words() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let path = folder.path().join("mine.toml");
    fs::write(&path, "hostname = \"web-1\"\n").unwrap();
    let ended = check(&engine, &["--config", path.to_str().unwrap()], |_| {});
    let line = format!("ok    configuration: `{}`: 1 engine, 1 route, 1 sink\n", path.display());
    assert!(ended.output.contains(&line), "{}", ended.output);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    if !Path::new("/etc/dockbell/dockbell.toml").exists() {
        let ended = check(&engine, &[], |_| {});
        assert!(
            ended.output.contains("configuration: no file (there is no `/etc/dockbell/dockbell.toml`): 1 engine"),
            "{}",
            ended.output
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_cannot_be_made_fails() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for state in [file.join("state"), file.clone(), "/proc/dockbell".into()] {
        let ended = check(&engine, &["--state", state.to_str().unwrap()], |_| {});
        assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
        assert!(ended.output.contains("FAIL  state: the state directory cannot be used"), "{}", ended.output);
        assert!(ended.output.contains(&format!("`{}`", state.display())), "{}", ended.output);
    }
    let state = folder.path().join("new/state");
    let ended = check(&engine, &["--state", state.to_str().unwrap()], |_| {});
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    assert!(ended.output.contains("begun with the first start") && !state.exists(), "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_json_is_one_object_per_verdict() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let path = folder.path().join("dockbell.toml");
    fs::write(
        &path,
        "[engines.gone]\nhost = \"unix:///nowhere.sock\"\n[engines.here]\n\
         [plugins.p]\ncomponent = \"match\"\nconfig = { action = \"died\" }\n[routes.r]\nfilters = [\"p\"]\n",
    )
    .unwrap();
    let ended = check(&engine, &["--output", "json", "--config", path.to_str().unwrap()], |_| {});
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    let lines: Vec<Value> = ended.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |what: &str, verdict: &str| {
        lines
            .iter()
            .find(|line| line["what"] == what && line["verdict"] == verdict)
            .unwrap_or_else(|| panic!("{lines:#?}"))
    };
    assert!(of("configuration", "warn")["text"].as_str().unwrap().contains("did you mean `die`?"));
    assert!(of("engine here", "ok")["text"].as_str().unwrap().contains("chosen by `DOCKER_HOST`"));
    let gone = of("engine gone", "fail");
    assert!(gone["text"].as_str().unwrap().starts_with("at `unix:///nowhere.sock`: there is no socket"), "{gone}");
    assert!(gone["hint"].as_str().unwrap().contains("start the engine"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_a_plugin_refuses_is_shown_with_its_place() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let path = folder.path().join("dockbell.toml");
    let with = |condition: &str| {
        let text = format!(
            "[plugins.p]\ncomponent = \"match\"\nconfig.any = [{{ {condition} }}]\n[routes.r]\nfilters = [\"p\"]\n"
        );
        fs::write(&path, text).unwrap();
    };
    with("acton = \"die\"");
    let ended = check(&engine, &["--config", path.to_str().unwrap()], |_| {});
    let shown = format!(
        "any[0].acton: unknown key\n        --> {}:3:17\n            config.any = [{{ acton = \"die\" }}]\n                            \
         ^^^^^\n        hint: did you mean `action`?",
        path.display()
    );
    assert!(ended.output.contains(&shown), "{}\n{shown}", ended.output);
    with("label.com.docker.compose.project = \"shop\"");
    let ended = check(&engine, &["--config", path.to_str().unwrap()], |_| {});
    assert!(
        ended.output.contains("hint: a name with dots stands in quotes: `label.\"com.docker.compose.project\"`"),
        "{}",
        ended.output
    );
}

/// Both engines have a container of the same name; group by group the subjects differ.
#[tokio::test(flavor = "multi_thread")]
async fn the_subject_names_the_engine_where_several_are_configured() {
    let folder = TempDir::new().unwrap();
    let (config, recording) = (folder.path().join("dockbell.toml"), folder.path().join("events.jsonl"));
    let file = |engines: &str| format!("hostname = \"web-1\"\n{engines}[sinks.t]\ntype = \"stdout\"\n");
    fs::write(&recording, dockbell_tests::engine::container("die").name("web").attribute("exitCode", "1").line())
        .unwrap();
    let subject = |engines: &str| {
        fs::write(&config, file(engines)).unwrap();
        let arguments =
            ["replay", recording.to_str().unwrap(), "--output", "json", "--config", config.to_str().unwrap()];
        let ended = run(&arguments, |_| {});
        let message: Value = serde_json::from_str(ended.output.lines().next().unwrap_or_default()).unwrap();
        message["subject"].as_str().unwrap().to_owned()
    };
    let two = "[engines.db]\nhost = \"tcp://db\"\n[engines.front]\nhost = \"tcp://front\"\n";
    assert_eq!(subject(two), "[web-1/db] web crashed (exit 1)");
    assert_eq!(subject("[engines.db]\nhost = \"tcp://db\"\n"), "[web-1] web crashed (exit 1)");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_there_twice_is_noticed_under_any_address() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    engine.be("engine-1");
    let (path, link) = (folder.path().join("dockbell.toml"), folder.path().join("link.sock"));
    let host = engine.host();
    std::os::unix::fs::symlink(host.trim_start_matches("unix://"), &link).unwrap();
    let text = format!("[engines.a]\nhost = \"{host}\"\n[engines.b]\nhost = \"unix://{}\"\n", link.display());
    fs::write(&path, text).unwrap();
    let ended = check(&engine, &["--config", path.to_str().unwrap()], |_| {});
    assert!(
        ended.output.contains("warn  engine b: is the same engine as `a`: its events are sent twice"),
        "{}",
        ended.output
    );
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);

    let mut command = program(env!("CARGO_BIN_EXE_dockbell-under-test"));
    let running = Program::start(command.arg("--config").arg(&path));
    running.logged("engines `a` and `b` are the same: its events are sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_address_space_is_not_a_fault_of_the_plugin() {
    let engine = ScriptedEngine::unix().await;
    let script = concat!("ulimit -v 3000000; exec ", env!("CARGO_BIN_EXE_dockbell-under-test"), " check");
    let mut command = program("/bin/sh");
    command.args(["-c", script]).env("DOCKER_HOST", engine.host());
    let ended = Program::start(&mut command).ended();
    assert_eq!(ended.status.code(), Some(1), "{}{}", ended.output, ended.log);
    assert!(ended.output.contains("address space is limited to 2929 MiB"), "{}{}", ended.output, ended.log);
    assert!(!ended.output.contains("fault of the plugin"), "{}", ended.output);
}
