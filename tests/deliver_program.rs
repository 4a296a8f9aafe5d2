//! The program as a process, from an engine's event to a webhook and a chat service.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::Command;

use dockbell_tests::engine::{ScriptedEngine, container};
use dockbell_tests::http_server::ScriptedHttp;
use dockbell_tests::program::{Program, program};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// A configuration with a webhook and a chat service, whose URLs hold a secret.
fn configure(folder: &Path, engine: &ScriptedEngine, hook: &str, chat: &str) {
    let text = format!(
        "[engines.local]\nhost = \"{}\"\n[routes.default]\nsettle = \"0s\"\nwindow = \"0s\"\n\
         [sinks.hook]\ntype = \"webhook\"\nurl = \"{hook}\"\nallow-loopback = true\n\
         [sinks.chat]\ntype = \"notify\"\nurl = \"{chat}\"\nallow-loopback = true\n",
        engine.host()
    );
    fs::write(folder.join("dockbell.toml"), text).unwrap();
}

fn dockbell(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program(DOCKBELL);
    command
        .args(arguments)
        .arg("--config")
        .arg(folder.join("dockbell.toml"))
        .env("DOCKBELL_STATE", folder.join("state"));
    command.env("DOCKBELL_LOG", "debug,dockbell=trace");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_reaches_a_webhook_and_a_chat_service_and_no_log_shows_their_urls() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let (hook, chat) = (ScriptedHttp::start().await, ScriptedHttp::start().await);
    let chat_url = format!("gotify://{}/hunter2.hunter2", chat.address());
    configure(folder.path(), &engine, &hook.url("/hunter2"), &chat_url);
    let dockbell = Program::start(&mut dockbell(folder.path(), &[]));
    engine.subscribed(1).await;
    engine.send(container("die").name("worker").attribute("exitCode", "3"));
    let hooked = hook.wait_for(1).await.remove(0);
    let chatted = chat.wait_for(1).await.remove(0);
    assert_eq!(hooked.path, "/hunter2");
    assert!(hooked.json()["text"].as_str().unwrap().contains("worker"), "{:?}", hooked.json());
    assert_eq!(chatted.path, "/message");
    assert!(String::from_utf8_lossy(&chatted.body).contains("worker"));
    let ended = dockbell.terminate();
    assert!(!format!("{}{}", ended.output, ended.log).contains("hunter2"), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_of_webhooks_and_chat_services_what_works_and_sends_nothing() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let (hook, chat) = (ScriptedHttp::start().await, ScriptedHttp::start().await);
    let chat_url = format!("gotify://{}/hunter2.hunter2", chat.address());
    configure(folder.path(), &engine, &hook.url("/hunter2"), &chat_url);
    let check = || Program::start(&mut dockbell(folder.path(), &["check"])).ended();
    let good = check();
    assert_eq!(good.status.code(), Some(0), "{}", good.output);
    for line in [
        format!("ok    sink hook: webhook POST http://{}, not signed", hook.address()),
        format!("ok    sink chat: gotify by http://{}", chat.address()),
    ] {
        assert!(good.output.contains(&line), "{line}: {}", good.output);
    }
    assert!(hook.received().is_empty() && chat.received().is_empty());

    chat.stop().await;
    let bad = check();
    assert_eq!(bad.status.code(), Some(1), "{}", bad.output);
    assert!(bad.output.contains("FAIL  sink chat: http://127.0.0.1:"), "{}", bad.output);
    assert!(bad.output.contains("ok    sink hook") && !bad.output.contains("hunter2"), "{}", bad.output);
}
