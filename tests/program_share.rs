//! The program with a route that nobody takes anything from: the store has room for the others, and what gives way is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::fs;
use std::path::Path;
use std::time::Duration;

use dockbell::store::{Filter, MessageState, Reader, Summary};
use dockbell_tests::engine::{ScriptedEngine, container};
use dockbell_tests::load::noise;
use dockbell_tests::program::{Program, program, wait_until};
use fixture::{has_own_mounts, mount_tmpfs, with_own_mounts};
use serde_json::Value;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
const BULK: u32 = 500;

#[test]
fn a_route_that_nobody_takes_leaves_the_store_to_the_others_and_they_are_told() {
    with_own_mounts("a_full_outbox_inside");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs with mounts of its own, started by the test above"]
async fn a_full_outbox_inside() {
    if !has_own_mounts() {
        return;
    }
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    // The store gets half of it.
    mount_tmpfs(folder.path(), 40);
    let config = folder.path().join("dockbell.toml");
    let text = format!(
        "hostname = \"web-1\"\ngrace = \"2s\"\n[engines.local]\nhost = \"{}\"\n\
         [plugins.honest]\ncomponent = \"match\"\n\
         config = {{ any = [{{ kind = \"dockbell\", action = \"dead_letter\" }}, {{ name = {{ glob = \"honest-*\" }} }}] }}\n\
         [plugins.bulk]\ncomponent = \"match\"\nconfig = {{ name = {{ glob = \"bulk-*\" }} }}\n\
         [routes.honest]\nfilters = [\"honest\"]\nformatter = \"json\"\nsettle = \"0s\"\nwindow = \"0s\"\nto = [\"terminal\"]\n\
         [routes.bulk]\nfilters = [\"bulk\"]\nformatter = \"json\"\ngroup-by = \"container\"\nsettle = \"0s\"\nto = [\"hole\"]\n\
         [sinks.terminal]\ntype = \"stdout\"\noutput = \"json\"\n\
         [sinks.hole]\ntype = \"file\"\npath = \"missing/hole.jsonl\"\n",
        engine.host()
    );
    fs::write(&config, text).unwrap();
    let state = folder.path().join("state");
    let mut command = program(DOCKBELL);
    command.env("DOCKBELL_STATE", &state).env("DOCKBELL_CONFIG", &config);
    let program = Program::start(&mut command);
    engine.subscribed(1).await;
    for number in 0..BULK {
        let label = noise(number.into(), 30_000);
        engine.send(container("die").name(&format!("bulk-{number}")).attribute("label", &label).line());
        if number % 10 == 0 {
            engine.send(container("die").name(&format!("honest-{number}")).attribute("exitCode", "1").line());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    engine.send(container("die").name("honest-last").attribute("exitCode", "1").line());
    let output = program.output(|output| {
        told(output, "die").len() == 51 && told(output, "dead_letter").iter().any(|event| route(event) == "bulk")
    });
    let of_bulk = told(&output, "dead_letter").into_iter().find(|event| route(event) == "bulk").unwrap();
    let attributes = &of_bulk["Actor"]["Attributes"];
    assert_eq!(attributes["sink"], "hole");
    assert!(attributes["messages"].as_str().unwrap().parse::<u32>().unwrap() > 0, "{attributes}");
    assert!(attributes["error"].as_str().unwrap().contains("more than their share of the store"), "{attributes}");
    // Nothing is gone without being listed.
    wait_until(|| {
        let listed = listed(&state);
        listed[0] + listed[1] == BULK
    });
    let [dead, pending] = listed(&state);
    assert!(dead > 0 && pending > 0, "{dead} {pending}");
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(told(&ended.output, "gap").is_empty());
    assert!(ended.log.contains("the oldest messages of the route to the sink gave way to others"), "{}", ended.log);
}

/// How many events of the route stand in the outbox: in dead letters, and in messages that wait.
fn listed(state: &Path) -> [u32; 2] {
    let filter = Filter { most: 10_000, ..Filter::default() };
    let all = Reader::open(state).unwrap().messages(&filter).unwrap();
    let is_dead = |one: &Summary| one.state == MessageState::Dead;
    let of = |dead| all.iter().filter(|one| one.route == "bulk" && is_dead(one) == dead).map(|one| one.total).sum();
    [of(true), of(false)]
}

/// The events of this action that were told.
fn told(output: &str, action: &str) -> Vec<Value> {
    let whole = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events = whole.flat_map(|message| message["events"].as_array().unwrap().clone());
    events.filter(|event| event["Action"] == action).collect()
}

fn route(event: &Value) -> &str {
    event["Actor"]["Attributes"]["route"].as_str().unwrap_or_default()
}
