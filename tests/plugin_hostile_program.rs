//! Plugins that mean harm, in the program: beside each of them another route tells every event, memory stays bounded, and
//! SIGTERM ends the program within its grace time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use dockbell_tests::attacks::{HTML_LINES, churns_state, formats_empty_lines, hoards_bodies, hoards_files};
use dockbell_tests::guests::Guest;
use dockbell_tests::program::{Program, wait_until};
use dockbell_tests::rig::{PATIENCE, Rig, counted, expected, numbered, told_in};
use rustix::fs::{CWD, FileType, Mode, mknodat};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
/// Events that each attack is called with, and the time between them.
const EVENTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);
/// The grace time of the program.
const GRACE: Duration = Duration::from_secs(5);
/// What a stop may take beside it, on a machine that builds other things meanwhile.
const SLACK: Duration = Duration::from_secs(10);
/// Files that the program may have open: few, so that a plugin could take them all.
const OPEN_FILES: u32 = 256;
/// Bytes that the program may have beside the attack.
const MEMORY: usize = 400 << 20;

/// A plugin, its role in its routes, where they tell and how often, what its table grants, and how many routes there are.
struct Attack {
    guest: Guest,
    role: &'static str,
    to: &'static str,
    window: &'static str,
    grants: &'static str,
    routes: usize,
}

impl Attack {
    fn filter(guest: Guest, grants: &'static str) -> Self {
        Self { guest, role: "filters = [\"bad\"]\nformatter = \"json\"", to: "bad", window: "0s", grants, routes: 4 }
    }
}

/// Runs the attack beside an honest route to a file and to a mail server.
async fn survive(attack: Attack) {
    let rig = Rig::new(DOCKBELL).await;
    fs::write(rig.file("bad.wasm"), attack.guest.component()).unwrap();
    let folder = rig.file("granted");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "content").unwrap();
    mknodat(CWD, folder.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let file = |name: &str| format!("[sinks.{name}]\ntype = \"file\"\npath = \"{}\"\n", rig.file(name).display());
    let window = |window: &str| format!("settle = \"0s\"\nwindow = \"{window}\"");
    let mut rest = format!(
        "[plugins.bad]\ncomponent = \"bad.wasm\"\nmemory = \"8MiB\"\n{}\n\
         [routes.honest]\nformatter = \"json\"\n{}\nto = [\"honest\", \"ops\"]\n{}{}",
        attack.grants.replace("GRANTED", &folder.to_string_lossy()),
        window("0s"),
        file("honest"),
        file("bad")
    );
    for number in 0..attack.routes {
        let (role, to) = (attack.role, attack.to);
        rest.push_str(&format!("[routes.bad{number}]\n{role}\n{}\nto = [\"{to}\"]\n", window(attack.window)));
    }
    rig.configure(&format!("grace = \"{}s\"", GRACE.as_secs()), &rest);
    let mut command = Command::new("sh");
    let program = rig.command(&rig.state());
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("DOCKBELL_CACHE", rig.file("cache"));
    command.args(["-c", &format!("ulimit -n {OPEN_FILES}; exec \"$0\" \"$@\"")]);
    command.arg(program.get_program()).args(program.get_args());
    let streams = rig.engine.streams();
    let program = Program::start(&mut command);
    rig.engine.subscribed(streams + 1).await;

    for number in 0..EVENTS {
        rig.engine.send(numbered(number));
        tokio::time::sleep(PAUSE).await;
    }
    let told = |name: &str| counted(&told_in(&rig.file(name)));
    wait_until(|| told("honest") == expected(0..EVENTS));
    if attack.to == "ops" {
        // A call of each of its routes, in full.
        wait_for_empty_lines(&rig, 16 * attack.routes).await;
    } else {
        // Each of the routes tells them all.
        wait_until(|| told("bad").values().sum::<u64>() == u64::from(EVENTS) * attack.routes as u64);
        wait_until(|| counted(&rig.told()) == expected(0..EVENTS));
    }
    let peak = peak(&program);
    assert!(peak < MEMORY, "{} MiB of memory", peak >> 20);
    let asked = Instant::now();
    let ended = program.terminate();
    let took = asked.elapsed();
    assert!(took < GRACE + SLACK, "the stop took {took:?}\n{}", ended.log);
    assert!(ended.status.code().is_some(), "{}", ended.log);
    if attack.to == "ops" {
        assert!(!ended.log.contains("the formatter failed"), "the attack did not take place: {}", ended.log);
        assert!(!ended.log.contains("rendering it failed"), "{}", ended.log);
    }
}

/// Waits until so many mails of [`formats_empty_lines`] have arrived, each with all lines of its HTML.
async fn wait_for_empty_lines(rig: &Rig, count: usize) {
    let begun = Instant::now();
    loop {
        // Each is half a mebibyte, so it is not looked more often.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let sizes = rig.mail.mails().into_iter().map(|mail| mail.bytes.len());
        let full = sizes.filter(|size| *size > HTML_LINES * "\r\n".len()).count();
        if full >= count {
            println!("{full} mails of empty lines after {:?}", begun.elapsed());
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the attack did not take place: {full} mails of {count}");
    }
}

/// The most memory that the program had, in bytes.
fn peak(program: &Program) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_loops_in_twenty_routes() {
    let mut guest = Guest::filter();
    guest.accept("(loop $again (br $again)) unreachable");
    survive(Attack { routes: 20, ..Attack::filter(guest, "") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_sets_and_removes_keys_faster_than_they_are_saved() {
    survive(Attack::filter(churns_state(), "state = \"64 KiB\"")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_opens_files_and_closes_none() {
    let grants = "dirs = [{ host = \"GRANTED\", guest = \"/data\" }]";
    survive(Attack::filter(hoards_files("file"), grants)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_opens_a_pipe_that_nobody_writes() {
    let grants = "dirs = [{ host = \"GRANTED\", guest = \"/data\" }]\ntimeout = \"100ms\"";
    survive(Attack::filter(hoards_files("pipe"), grants)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_fills_bodies_and_sends_none() {
    survive(Attack::filter(hoards_bodies(), "http = []")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_formatter_whose_messages_are_empty_lines() {
    let (role, to) = ("formatter = \"bad\"", "ops");
    let attack = Attack::filter(formats_empty_lines(), "timeout = \"10s\"");
    survive(Attack { role, to, window: "5s", routes: 2, ..attack }).await;
}
