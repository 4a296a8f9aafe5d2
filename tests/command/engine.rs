//! Which engine is watched where the configuration names none.

use std::fs;

use dockbell_tests::engine::ScriptedEngine;
use dockbell_tests::program::{Program, program};
use dockbell_tests::smtp::ScriptedSmtp;
use tempfile::TempDir;

use crate::run;

/// The home of somebody whose Docker client has the context `shop`, which leads to this engine.
fn home(engine: &ScriptedEngine) -> TempDir {
    let home = TempDir::new().unwrap();
    // printf shop | sha256sum
    let id = "8d9001d32c6a703d95921a77115050f33dd823d3f1730bd35215dcbecad6dc20";
    let folder = home.path().join(".docker/contexts/meta").join(id);
    fs::create_dir_all(&folder).unwrap();
    let meta = format!(r#"{{"Name":"shop","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{}"}}}}}}"#, engine.host());
    fs::write(folder.join("meta.json"), meta).unwrap();
    fs::write(home.path().join(".docker/config.json"), r#"{"currentContext":"shop"}"#).unwrap();
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_context_of_the_docker_client_is_watched_and_named() {
    let engine = ScriptedEngine::unix().await;
    let home = home(&engine);
    let ended = run(&["check"], |command| {
        command.env("HOME", home.path());
    });
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    assert!(ended.output.contains("(the Docker context `shop`, chosen by `"), "{}", ended.output);
    assert!(ended.output.contains("/.docker/config.json`)"), "{}", ended.output);

    let mut command = program(env!("CARGO_BIN_EXE_dockbell-under-test"));
    let program = Program::start(command.env("HOME", home.path()));
    program.logged("engine `local` is unix://");
    engine.subscribed(1).await;
    let ended = program.terminate();
    assert!(ended.log.contains("the Docker context `shop`, chosen by `"), "{}", ended.log);
}

#[test]
fn a_directory_in_the_place_of_the_socket_is_said_to_be_one() {
    let folder = TempDir::new().unwrap();
    let ended = run(&["check"], |command| {
        command.env("DOCKER_HOST", format!("unix://{}", folder.path().display()));
    });
    assert!(ended.output.contains("` is a directory, not a socket (chosen by `DOCKER_HOST`)\n"), "{}", ended.output);
    assert!(ended.output.contains("hint: Docker makes a directory of a mounted file"), "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_about_the_mail_server_of_the_environment_name_its_variable() {
    let (engine, mail) = (ScriptedEngine::unix().await, ScriptedSmtp::start().await);
    let ended = run(&["check"], |command| {
        command
            .env("DOCKER_HOST", engine.host())
            .env("DOCKBELL_MAIL_TO", "ops@example.com")
            .env("DOCKBELL_HOSTNAME", "h");
        command.env("DOCKBELL_SMTP_URL", format!("smtp://u:hunter2@127.0.0.1:{}?tls=none", mail.port()));
    });
    // The server offers no login.
    let hint = ended.output.lines().find(|line| line.contains("hint: ")).unwrap_or_else(|| panic!("{}", ended.output));
    assert!(hint.contains("the login in `DOCKBELL_SMTP_URL`") && !hint.contains("`user`"), "{hint}");
}

#[test]
fn a_context_that_does_not_exist_is_an_error_with_those_that_do() {
    let home = TempDir::new().unwrap();
    let ended = run(&["watch"], |command| {
        command.env("HOME", home.path()).env("DOCKER_CONTEXT", "shop");
    });
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(
        ended.log.contains("DOCKER_CONTEXT: there is no Docker context `shop`\nhint: contexts: `default`"),
        "{}",
        ended.log
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn quotes_that_docker_run_keeps_in_an_env_file_do_no_harm() {
    let engine = ScriptedEngine::unix().await;
    let ended = run(&["check"], |command| {
        command.env("DOCKER_HOST", format!("\"{}\"", engine.host()));
        command
            .env("DOCKBELL_SMTP_URL", "\"smtp://ops:hunter2@127.0.0.1:1\"")
            .env("DOCKBELL_MAIL_TO", "'ops@example.com'");
        command.env("DOCKBELL_HOSTNAME", "\"web-1\"").env("DOCKBELL_STATE", "\"none\"");
    });
    assert!(ended.output.contains("ok    configuration: "), "{}", ended.output);
    assert!(
        ended.output.contains("ok    engine local") && ended.output.contains("state: nothing is kept"),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("FAIL  sink email") && !ended.output.contains("hunter2"), "{}", ended.output);
}
