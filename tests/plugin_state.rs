//! What plugins keep across restarts: how much, for whom, and through which ends of the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::Command;

use dockbell::plugin::{CallError, Filter, State};
use dockbell_tests::engine::{ScriptedEngine, container};
use dockbell_tests::guests::{Guest, event, load};
use dockbell_tests::program::{Program, program, wait_until};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
const STATE: &str = "dockbell:plugin/state@0.1.0";

/// A filter with all functions of the interface.
fn stateful() -> Guest {
    let mut guest = Guest::filter();
    for (function, ty) in [
        ("get", "(param i32 i32 i32)"),
        ("set", "(param i32 i32 i32 i32 i32)"),
        ("remove", "(param i32 i32) (result i32)"),
        ("keys", "(param i32 i32 i32)"),
    ] {
        guest.import(STATE, &format!("(func ${function} (import \"{STATE}\" \"{function}\") {ty})"));
    }
    guest
}

/// A filter that counts its events in the key `count` and lets those pass whose number is wanted; at the others it does this.
fn counting(wanted: u32, else_: &str) -> Guest {
    let mut guest = stateful();
    let key = guest.text("count");
    guest.accept(&format!(
        "(local $count i32)
         (call $get {key} (i32.const 32))
         (if (i32.load8_u (i32.const 32)) (then (local.set $count (i32.load8_u (i32.load (i32.const 36))))))
         (local.set $count (i32.add (local.get $count) (i32.const 1)))
         (i32.store8 (i32.const 48) (local.get $count))
         (call $set {key} (i32.const 48) (i32.const 1) (i32.const 32))
         (if (i32.load8_u (i32.const 32)) (then
           (return (call $error (i32.load (i32.const 36)) (i32.load (i32.const 40))))))
         (if (i32.eq (local.get $count) (i32.const {wanted})) (then (return (call $answer (i32.const 1)))))
         {else_}"
    ));
    guest
}

const NO: &str = "(call $answer (i32.const 0))";

async fn start(guest: &Guest, state: &State) -> Filter {
    let plugin = load(&guest.component(), |config| config.grants.state = Some("100".parse().unwrap())).unwrap();
    Filter::start_with(plugin, Some(state.clone())).await.unwrap()
}

#[tokio::test]
async fn what_is_kept_survives_a_trap_of_the_instance() {
    let mut filter = start(&counting(3, "unreachable"), &State::fleeting(100)).await;
    assert!(matches!(filter.accept(&event()).await, Err(CallError::Trapped(_))));
    assert!(matches!(filter.accept(&event()).await, Err(CallError::Trapped(_))));
    assert_eq!(filter.accept(&event()).await, Ok(true));
}

#[tokio::test]
async fn instances_with_the_same_state_share_it_and_others_do_not() {
    let guest = counting(2, NO);
    let state = State::fleeting(100);
    let (mut one, mut other) = (start(&guest, &state).await, start(&guest, &state).await);
    let mut stranger = start(&guest, &State::fleeting(100)).await;
    assert_eq!(one.accept(&event()).await, Ok(false));
    assert_eq!(stranger.accept(&event()).await, Ok(false));
    assert_eq!(other.accept(&event()).await, Ok(true));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_size() {
    let mut guest = stateful();
    let key = guest.text("key");
    guest.accept(&format!(
        "(call $set {key} (i32.const 0) (i32.const 98) (i32.const 32))
         (if (i32.load8_u (i32.const 32)) (then
           (return (call $error (i32.load (i32.const 36)) (i32.load (i32.const 40))))))
         (call $answer (i32.const 1))"
    ));
    let answer = start(&guest, &State::fleeting(100)).await.accept(&event()).await;
    let CallError::Failed(said) = answer.unwrap_err() else { panic!("it was no error of the plugin") };
    assert_eq!(said, "the state would have 101 bytes, and may have 100: `state` in the plugin's table");
    assert_eq!(start(&guest, &State::fleeting(101)).await.accept(&event()).await, Ok(true));
}

#[tokio::test]
async fn keys_are_listed_by_their_beginning_and_can_be_removed() {
    let mut guest = stateful();
    let [a1, a2, b, prefix, all] = ["a1", "a2", "b", "a", ""].map(|text| guest.text(text));
    let number = |prefix: &str| format!("(call $keys {prefix} (i32.const 32)) (i32.load (i32.const 36))");
    // Each line is 1 where all is well.
    let counts = [
        format!("(i32.eq (i32.const 3) (block (result i32) {}))", number(&all)),
        format!("(i32.eq (i32.const 2) (block (result i32) {}))", number(&prefix)),
        format!("(call $remove {a2})"),
        format!("(i32.eqz (call $remove {a2}))"),
        format!("(i32.eq (i32.const 1) (block (result i32) {}))", number(&prefix)),
    ];
    let set = |key: &str| format!("(call $set {key} (i32.const 0) (i32.const 0) (i32.const 32))");
    let all_is_well = counts.iter().fold("(i32.const 1)".to_owned(), |all, one| format!("(i32.and {all} {one})"));
    guest.accept(&format!("{}{}{} (call $answer {all_is_well})", set(&a1), set(&a2), set(&b)));
    assert_eq!(start(&guest, &State::fleeting(100)).await.accept(&event()).await, Ok(true));
}

/// A program that tells what `counting` wants in two routes, in files of their names.
fn configured(folder: &TempDir, engine: &ScriptedEngine, wanted: u32, routes: &[&str]) -> Command {
    fs::write(folder.path().join("count.wasm"), counting(wanted, NO).component()).unwrap();
    let route = |name: &&str| {
        let file = folder.path().join(name);
        format!(
            "[routes.{name}]\nfilters = [\"count\"]\nformatter = \"plain\"\nsettle = \"0s\"\nto = [\"{name}\"]\n\
             [sinks.{name}]\ntype = \"file\"\npath = \"{}\"\n",
            file.display()
        )
    };
    let text = format!(
        "[engines.local]\nhost = \"{}\"\n[plugins.mine]\ncomponent = \"match\"\nconfig = {{ kind = \"container\" }}\n\
         [plugins.count]\ncomponent = \"count.wasm\"\nstate = \"1 KiB\"\n{}",
        engine.host(),
        routes.iter().map(route).collect::<String>().replace("[\"count\"]", "[\"mine\", \"count\"]")
    );
    let file = folder.path().join("dockbell.toml");
    fs::write(&file, text).unwrap();
    let mut command = program(DOCKBELL);
    // To compile takes long in a debug build.
    command.env("DOCKBELL_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-state"));
    command.arg("--config").arg(file).arg("--state").arg(folder.path().join("state"));
    command
}

/// What the state directory holds: route and count.
fn kept(folder: &TempDir) -> Vec<(String, Vec<u8>)> {
    let path = folder.path().join("state/state.db");
    let read = || -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
        let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut rows = db.prepare("SELECT route, value FROM plugin_state WHERE plugin = 'count' ORDER BY route")?;
        rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    read().unwrap_or_default()
}

fn told(folder: &TempDir, route: &str) -> usize {
    fs::read_to_string(folder.path().join(route)).map_or(0, |text| text.lines().count())
}

fn counts(of: &[(&str, u8)]) -> Vec<(String, Vec<u8>)> {
    of.iter().map(|(route, count)| ((*route).to_owned(), vec![*count])).collect()
}

async fn watching(command: &mut Command, engine: &ScriptedEngine, times: usize) -> Program {
    let program = Program::start(command);
    engine.subscribed(times).await;
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_there_after_a_stop_and_after_a_kill() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let mut command = configured(&folder, &engine, 2, &["one"]);
    let program = watching(&mut command, &engine, 1).await;
    engine.send(container("start").name("a").line());
    wait_until(|| kept(&folder) == counts(&[("one", 1)]));
    engine.send(container("start").name("b").line());
    wait_until(|| told(&folder, "one") == 1);
    // What has just changed is written at the stop, not a second later.
    assert_eq!(program.terminate().status.code(), Some(0));
    assert_eq!(kept(&folder), counts(&[("one", 2)]));

    let program = watching(&mut command, &engine, 2).await;
    engine.send(container("start").name("c").line());
    wait_until(|| kept(&folder) == counts(&[("one", 3)]));
    drop(program.kill());

    // The last event before the kill may be filtered twice, so it counts once or twice.
    let program = watching(&mut command, &engine, 3).await;
    engine.send(container("start").name("d").line());
    wait_until(|| matches!(&kept(&folder)[..], [(_, count)] if count[0] >= 4));
    assert_eq!(program.terminate().status.code(), Some(0));
    assert_eq!(told(&folder, "one"), 1, "no program began to count anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_has_a_state_of_its_own_and_one_that_is_gone_is_forgotten() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let mut command = configured(&folder, &engine, 2, &["one", "two"]);
    let program = watching(&mut command, &engine, 1).await;
    engine.send(container("start").name("a").line());
    wait_until(|| kept(&folder) == counts(&[("one", 1), ("two", 1)]));
    engine.send(container("start").name("b").line());
    wait_until(|| told(&folder, "one") == 1 && told(&folder, "two") == 1);
    assert_eq!(program.terminate().status.code(), Some(0));

    let program = watching(&mut configured(&folder, &engine, 2, &["two"]), &engine, 2).await;
    program.logged("what it kept is forgotten");
    assert_eq!(program.terminate().status.code(), Some(0));
    assert_eq!(kept(&folder), counts(&[("two", 2)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_begins_with_nothing_and_leaves_nothing() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    configured(&folder, &engine, 2, &["one"]);
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/recordings/shop.jsonl");
    for _ in 0..2 {
        let mut command = program(DOCKBELL);
        command.arg("replay").arg(&recording).arg("--config").arg(folder.path().join("dockbell.toml"));
        let ended = Program::start(command.env("DOCKBELL_STATE", folder.path().join("state"))).ended();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
        assert_eq!(ended.output.matches("--- ").count(), 1, "{}", ended.output);
    }
    assert!(!folder.path().join("state").exists());
}
