//! A stop at moments at which the program does something else: it is heard, and the store is closed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use dockbell_tests::guests::Guest;
use dockbell_tests::program::{Ended, Program, wait_until};
use dockbell_tests::rig::{PATIENCE, Rig, Told, counted, expected, numbered};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

const ROUTE: &str =
    "[routes.default]\nformatter = \"json\"\nfilters = []\nsettle = \"0s\"\nwindow = \"100ms\"\nto = [\"ops\"]\n";

/// A route through a plugin whose `configure` has no end, and which says in the log when it begins.
fn endless(rig: &Rig) -> String {
    let mut guest = Guest::filter();
    let text = guest.text("configuring");
    guest.logging().configure(&format!("(call $log (i32.const 2) {text}) (loop $again (br $again)) unreachable"));
    let file = rig.file("endless.wasm");
    fs::write(&file, guest.component()).unwrap();
    let route = ROUTE.replace("filters = []", "filters = [\"endless\"]");
    format!("[plugins.endless]\ncomponent = \"{}\"\ntimeout = \"60s\"\n{route}", file.display())
}

/// A process that compiles a plugin for this program, held where it is, so that it never comes to an end by itself.
fn held_compiler(program: &Program) -> Pid {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "nothing was compiled: {}", program.log(|_| true));
        let tasks = fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
        let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
        let children: String = children.collect();
        for child in children.split_whitespace() {
            let called = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
            let pid = child.parse().ok().and_then(Pid::from_raw).unwrap();
            if called.contains("compile-component")
                && kill_process(pid, Signal::STOP).is_ok()
                && state(pid) == Some('T')
            {
                return pid;
            }
        }
    }
}

/// What a process does, such as `R` or `T`; none where there is none.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The program ended by itself, and its next start finds nothing to complain about.
#[track_caller]
fn assert_ended_well(rig: &Rig, ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
    // There is none where the program had not come that far.
    let lock = fs::read_to_string(rig.state().join("dockbell.lock")).unwrap_or_default();
    assert_eq!(lock, "", "the store was closed: {}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_a_start_compiles() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("", ROUTE);
    let program = Program::start(&mut rig.command(&rig.state()));
    let compiler = held_compiler(&program);
    let ended = program.terminate();
    assert_ended_well(&rig, &ended);
    wait_until(|| state(compiler).is_none_or(|state| state == 'Z'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_a_start_configures() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("", &endless(&rig));
    let program = Program::start(&mut rig.command(&rig.state()));
    program.logged("configuring");
    let ended = program.terminate();
    assert_ended_well(&rig, &ended);
    assert!(!ended.log.contains("took longer"), "not after the plugin's time: {}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_a_reload_compiles_or_configures() {
    for compiles in [true, false] {
        let rig = Rig::new(DOCKBELL).await;
        rig.configure("", ROUTE);
        let program = rig.start().await;
        rig.engine.send(numbered(0));
        rig.wait_told(|told| told.iter().any(|told| told.of_engine() == 1)).await;
        // A plugin that is not small, so that its compiler is seen.
        let other = ROUTE.replace("\"json\"", "\"email\"");
        rig.configure("", &if compiles { other } else { endless(&rig) });
        program.hang_up();
        let compiler = compiles.then(|| held_compiler(&program));
        if !compiles {
            program.logged("configuring");
        }
        let ended = program.terminate();
        assert_ended_well(&rig, &ended);
        assert!(!ended.log.contains("grace time"), "{}", ended.log);
        wait_until(|| compiler.and_then(state).is_none_or(|state| state == 'Z'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_at_any_moment_of_a_start_leaves_a_closed_store() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("", ROUTE);
    for step in 0..24 {
        let program = Program::start(&mut rig.command(&rig.state()));
        std::thread::sleep(Duration::from_millis(step * step * 3));
        let ended = program.terminate();
        // Before it listens, a signal ends it as it ends any program.
        if ended.status.signal() != Some(15) {
            assert_ended_well(&rig, &ended);
        }
    }
    let program = rig.start().await;
    rig.engine.send(numbered(0));
    rig.wait_told(|told| told.iter().map(Told::of_engine).sum::<u64>() == 1).await;
    let log = program.terminate().log;
    assert!(!log.contains("did not end by itself"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_another_program_holds_the_store_ends_soon_after_the_grace_time() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("grace = \"1s\"", ROUTE);
    let program = rig.start().await;
    rig.engine.send(numbered(0));
    rig.wait_told(|told| told.iter().any(|told| told.of_engine() == 1)).await;
    let database = Connection::open(rig.state().join("state.db")).unwrap();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for number in 1..50 {
        rig.engine.send(numbered(number));
    }
    rig.engine.drained().await;
    let asked = Instant::now();
    let ended = program.terminate();
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}: {}", ended.log);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(
        ended.log.contains("error: the store could not be closed in time: another program holds it"),
        "{}",
        ended.log
    );
    assert!(ended.log.contains("state.db") && ended.log.contains("hint: "), "{}", ended.log);
    database.execute_batch("ROLLBACK").unwrap();
    drop(database);
    let program = rig.start().await;
    let told = rig.wait_told(|told| told.iter().map(Told::of_engine).sum::<u64>() >= 50).await;
    assert_eq!(counted(&told), expected(0..50), "{told:#?}");
    let log = program.terminate().log;
    assert!(!log.contains("damaged"), "{log}");
    println!("the stop took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_did_not_tell_within_the_grace_time_is_lost_only_without_a_state_directory() {
    let mut guest = Guest::filter();
    guest.accept("(loop $again (br $again)) unreachable");
    for keeps_state in [false, true] {
        let rig = Rig::new(DOCKBELL).await;
        fs::write(rig.file("endless.wasm"), guest.component()).unwrap();
        let plugin = "[plugins.endless]\ncomponent = \"endless.wasm\"\ntimeout = \"60s\"\n";
        let route = ROUTE.replace("filters = []", "filters = [\"endless\"]");
        rig.configure("grace = \"1s\"", &format!("{plugin}{route}"));
        let state = if keeps_state { rig.state() } else { "none".into() };
        let program = rig.start_in(&state).await;
        for number in 0..3 {
            rig.engine.send(numbered(number));
        }
        let ended = program.terminate();
        if keeps_state {
            assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
            assert!(ended.log.contains("the rest is told after the next start"), "{}", ended.log);
            continue;
        }
        assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
        let said = ended
            .log
            .split_once("the route `default` did not end within the grace time: up to ")
            .expect("it is said")
            .1;
        let count: u64 =
            said.split_once(" events are lost, since no state is kept").expect("counted").0.parse().unwrap();
        // The three, and what dockbell says of its start and stop.
        assert!((3..=8).contains(&count), "{}", ended.log);
        assert_eq!(rig.told(), vec![]);
    }
}
