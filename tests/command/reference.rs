//! What is made of the program itself: the table of words, completions, the manual page; and what packages install beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use dockbell_tests::engine::ScriptedEngine;
use dockbell_tests::program::{Program, program};
use serde_json::Value;
use tempfile::TempDir;

use crate::run;

/// All subcommands that a person uses.
const SUBCOMMANDS: [&str; 11] =
    ["watch", "replay", "check", "outbox", "send", "plugin", "health", "facts", "completions", "man", "demo"];

#[test]
fn facts_are_listed_with_their_meanings_and_the_default_condition() {
    let ended = run(&["facts"], |_| {});
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    for line in [
        "  recovered-after  How long the trouble lasted",
        "  crashed    On `die`: the process ended by itself with another exit code.",
        "  dead_letter       A message was given up.",
        "  container  archive-path, attach",
        "  config = { any = [{ kind = \"dockbell\", not = { action = [\"started\", ",
    ] {
        assert!(ended.output.contains(line), "{line}: {}", ended.output);
    }
    let ended = run(&["facts", "--output", "json"], |_| {});
    let json: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(json["causes"].as_object().unwrap().len(), 6, "{json}");
    assert_eq!(json["default"]["any"][0]["kind"], "dockbell", "{json}");
    for fact in dockbell::event::Fact::ALL {
        assert!(json["facts"][fact.name()].as_str().is_some_and(|meaning| meaning.ends_with('.')), "{fact:?}");
    }
}

/// The condition of `default`, copied into a configuration of one's own, is without doubt, and so are all words of the table.
#[test]
fn what_is_listed_is_known_to_check() {
    let ended = run(&["facts", "--output", "json"], |_| {});
    let json: Value = serde_json::from_str(&ended.output).unwrap();
    let words = |value: &Value| {
        value.as_object().unwrap().keys().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
    };
    let text = format!(
        "[plugins.a]\ncomponent = \"match\"\nconfig = {{ fact.cause = [{}], any = [{{ kind = \"dockbell\", action = [{}] }}] }}\n\
         [plugins.b]\ncomponent = \"match\"\nconfig = {{ kind = [{}] }}\n[routes.r]\nfilters = [\"a\", \"b\"]\n",
        words(&json["causes"]),
        words(&json["dockbell"]),
        words(&json["kinds"])
    );
    let config = dockbell::config::Config::parse(Path::new("d.toml"), &text, &dockbell::config::Environment::default());
    assert!(config.as_ref().unwrap().warnings.is_empty(), "{:?}", config.unwrap().warnings);
}

#[test]
fn completions_of_bash_complete_subcommands_and_options() {
    let ended = run(&["completions", "bash"], |_| {});
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("dockbell.bash");
    fs::write(&script, &ended.output).unwrap();
    let complete = |words: &str| {
        let count = words.split(' ').count() - 1;
        let text = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={count}; _dockbell dockbell {} ''; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.rsplit(' ').next().unwrap()
        );
        let output = Command::new("bash").args(["--norc", "-c", &text]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("dockbell outb"), "outbox");
    assert_eq!(complete("dockbell outbox re"), "retry");
    assert_eq!(complete("dockbell check --conf"), "--config");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell], |_| {}).output.contains("outbox"), "{shell}");
    }
}

#[test]
fn the_manual_page_describes_each_subcommand_and_the_exit_codes() {
    let ended = run(&["man"], |_| {});
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let page = &ended.output;
    assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
    for command in SUBCOMMANDS {
        assert!(page.contains(&format!(".SH \"DOCKBELL {}\"", command.to_uppercase())), "{command}: {page}");
    }
    assert!(page.contains("DOCKBELL_SMTP_URL") && page.contains("Exit codes"), "{page}");
    assert!(!page.contains("machine code on standard output"), "what is hidden stays hidden: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_whether_the_program_of_a_state_directory_answers() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let state = folder.path().join("state");
    let health = || run(&["health", "--state", state.to_str().unwrap()], |_| {});
    let ended = health();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(ended.log.contains("no dockbell runs with the state directory"), "{}", ended.log);
    let mut command = program(env!("CARGO_BIN_EXE_dockbell-under-test"));
    let running = Program::start(command.args(["--state", state.to_str().unwrap()]).env("DOCKER_HOST", engine.host()));
    engine.subscribed(1).await;
    let ended = health();
    assert_eq!((ended.status.code(), ended.output.as_str()), (Some(0), "dockbell runs and answers\n"), "{}", ended.log);
    running.terminate();
    assert_eq!(health().status.code(), Some(1));
}

/// Each command of the unit, the image and the health check is one that the program has.
#[test]
fn what_packages_start_is_a_command_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let unit = fs::read_to_string(root.join("packaging/dockbell.service")).unwrap();
    let image = fs::read_to_string(root.join("Dockerfile")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/dockbell ")).unwrap();
    let health = image.lines().find_map(|line| line.split("\"/usr/local/bin/dockbell\", \"").nth(1)).unwrap();
    for command in [start, health.trim_end_matches("\"]")] {
        let ended = run(&[command, "--help"], |_| {});
        assert_eq!(ended.status.code(), Some(0), "{command}: {}", ended.log);
    }
    for setting in ["StateDirectory=dockbell", "CacheDirectory=dockbell", "DynamicUser=yes"] {
        assert!(unit.lines().any(|line| line == setting), "{setting}");
    }
}

/// Cargo forgets `strip` of a profile for a package that the profile has a table of its own for (seen with 1.95).
#[test]
fn the_release_profile_strips_the_program_in_its_own_table_too() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml")).unwrap();
    let table = |name: &str| {
        manifest.split(&format!("\n[{name}]\n")).nth(1).map(|rest| rest.split("\n[").next().unwrap().to_owned())
    };
    let strips = |table: &str| table.lines().any(|line| line == "strip = true");
    assert!(strips(&table("profile.release").unwrap()));
    assert!(table("profile.release.package.dockbell").is_none_or(|table| strips(&table)));
}
