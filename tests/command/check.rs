//! `dockbell check`: which file it read, where the state goes, and its JSON.

use std::fs;
use std::path::Path;
use std::process::Command;

use dockbell_tests::engine::ScriptedEngine;
use dockbell_tests::program::Ended;
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_address_space_is_not_a_fault_of_the_plugin() {
    let engine = ScriptedEngine::unix().await;
    let program = env!("CARGO_BIN_EXE_dockbell-under-test");
    let script = format!("ulimit -v 3000000; exec {program} check");
    let mut command = dockbell_tests::program::program("/bin/sh");
    command.args(["-c", &script]).env("DOCKER_HOST", engine.host());
    let ended = dockbell_tests::program::Program::start(&mut command).ended();
    assert_eq!(ended.status.code(), Some(1), "{}{}", ended.output, ended.log);
    assert!(ended.output.contains("address space is limited to 2929 MiB"), "{}{}", ended.output, ended.log);
    assert!(!ended.output.contains("fault of the plugin"), "{}", ended.output);
}
