//! The program on disks that are full, read-only, damaged or broken, and under a clock that is set: it goes on where it can,
//! and says clearly where it cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dockbell_tests::engine::{EventLine, ScriptedEngine, container};
use dockbell_tests::load::noise;
use dockbell_tests::program::{Ended, Program, program, wait_until};
use fixture::{FAILING_DISK, WRONG_CLOCK, grow, has_own_mounts, mount_tmpfs, preload, succeed, with_own_mounts};
use serde_json::Value;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Every event but the noise, at once, as JSON on the terminal.
const AT_ONCE: &str = "settle = \"0s\"\nwindow = \"0s\"\n";

fn die(name: &str) -> EventLine {
    container("die").name(name).attribute("exitCode", "3")
}

/// An engine, and a configuration with a route to the terminal and to a file in a folder that does not exist yet.
struct Host {
    engine: ScriptedEngine,
    folder: TempDir,
    state: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Host {
    async fn new(pace: &str) -> Self {
        let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
        let text = format!(
            "hostname = \"web-1\"\ngrace = \"2s\"\n[engines.local]\nhost = \"{}\"\n[routes.default]\nformatter = \"json\"\n{pace}\
             [sinks.terminal]\ntype = \"stdout\"\noutput = \"json\"\n[sinks.ops]\ntype = \"file\"\npath = \"later/ops.jsonl\"\n",
            engine.host()
        );
        fs::write(folder.path().join("dockbell.toml"), text).unwrap();
        let state = folder.path().join("state");
        Self { engine, folder, state, environment: Vec::new() }
    }

    fn command(&self) -> Command {
        let mut command = program(DOCKBELL);
        command.env("DOCKBELL_STATE", &self.state).env("DOCKBELL_CONFIG", self.folder.path().join("dockbell.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    async fn watching(&self, times: usize) -> Program {
        let program = Program::start(&mut self.command());
        self.engine.subscribed(times).await;
        program
    }

    fn says(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command().args(arguments).output().unwrap();
        let (output, log) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert!(status.success(), "{output}{log}");
        output
    }

    /// Starts where it cannot go on; what it says.
    fn refuses(&self) -> String {
        let Ended { status, output, log } = Program::start(&mut self.command()).ended();
        assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{log}");
        assert!(log.contains("\nhint: "), "{log}");
        log
    }

    /// The folder of the sink that did not work.
    fn make_room_for_messages(&self) -> PathBuf {
        fs::create_dir(self.folder.path().join("later")).unwrap();
        self.folder.path().join("later/ops.jsonl")
    }
}

/// Each event that was told, in the order in which it was: the whole event, as JSON.
fn told(output: &str) -> Vec<Value> {
    let messages = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    messages.flat_map(|message| message["events"].as_array().unwrap().clone()).collect()
}

/// The containers whose death was told.
fn names(output: &str) -> Vec<String> {
    let died = told(output).into_iter().filter(|event| event["Action"] == "die");
    died.map(|event| event["Actor"]["Attributes"]["name"].as_str().unwrap().to_owned()).collect()
}

fn gaps(output: &str) -> Vec<Value> {
    told(output).into_iter().filter(|event| event["Action"] == "gap").collect()
}

/// An event that nobody is told of, with a label of this text.
fn bulk(label: &str) -> String {
    container("exec_start: /bin/true").name("bulk").attribute("label", label).line()
}

#[test]
fn on_a_full_disk_it_delivers_what_it_has_and_takes_events_again_when_there_is_room() {
    with_own_mounts("full_disk_inside");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs with mounts of its own, started by the test above"]
async fn full_disk_inside() {
    if !has_own_mounts() {
        return;
    }
    let volume = TempDir::new().unwrap();
    mount_tmpfs(volume.path(), 64);
    let mut host = Host::new(AT_ONCE).await;
    host.state = volume.path().join("state");
    let program = host.watching(1).await;
    host.engine.send(die("before").line());
    program.output(|output| output.contains("before"));
    program.logged("its messages wait");

    // Somebody else fills the volume; until the store notices, it writes into what it has.
    grow(&volume.path().join("hog"));
    for number in 0..100 {
        host.engine.send(bulk(&noise(number, 200_000)));
    }
    let log = program.logged("events wait in memory, they cannot be stored");
    assert!(log.contains("The volume of the store is full") && log.contains("hint: make room there"), "{log}");
    host.engine.send(die("meanwhile").line());

    // What is in the store is delivered all the same.
    let file = host.make_room_for_messages();
    let listed = host.says(&["outbox", "list", "--output", "json"]);
    let letter: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    wait_until(|| {
        // It may just be tried, and is not waiting then.
        host.command().args(["outbox", "retry", letter["id"].as_str().unwrap()]).output().unwrap();
        fs::read_to_string(&file).is_ok_and(|text| text.contains("before"))
    });

    // More than fits into the memory that events may wait in.
    let label = "x".repeat(900_000);
    for number in 0..30 {
        (0..4).for_each(|_| host.engine.send(bulk(&label)));
        // Itself too large for what is left beside the others.
        host.engine.send(die(&format!("more-{number:02}")).attribute("label", &label[..200_000]).line());
    }
    host.engine.drained().await;
    fs::remove_file(volume.path().join("hog")).unwrap();
    program.logged("events are stored again");
    program.output(|output| output.contains("\"gap\""));
    host.engine.send(die("after").line());
    program.output(|output| output.contains("after"));
    let Ended { status, output, log } = program.terminate();
    assert_eq!(status.code(), Some(0), "{log}");

    let names = names(&output);
    assert_eq!((&*names[0], &*names[1], &**names.last().unwrap()), ("before", "meanwhile", "after"), "{names:?}");
    let more = &names[2..names.len() - 1];
    assert!(more.is_sorted_by(|one, next| one < next) && more.len() < 30, "each once, and not all: {names:?}");
    let missed: Vec<usize> = gaps(&output)
        .iter()
        .map(|gap| gap["Actor"]["Attributes"]["missed"].as_str().unwrap().parse().unwrap())
        .collect();
    // One in five is of a kind that is told; a small one may still have found room.
    let (lost, missed) = (30 - more.len(), missed.iter().sum::<usize>());
    assert!((lost..=150 - more.len()).contains(&missed), "{lost} are not told, {missed} of all kinds were missed");
}

#[test]
fn where_the_state_cannot_be_kept_it_does_not_start_and_says_what_to_do() {
    with_own_mounts("bad_places_inside");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs with mounts of its own, started by the test above"]
async fn bad_places_inside() {
    if !has_own_mounts() {
        return;
    }
    let volume = TempDir::new().unwrap();
    mount_tmpfs(volume.path(), 8);
    let mut host = Host::new(AT_ONCE).await;
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,ro"]).arg(volume.path());
    succeed(remount);
    for (state, said) in [
        (volume.path().join("state"), "Read-only file system"),
        (PathBuf::from("/proc/no/such/folder"), "No such file or directory"),
        (host.folder.path().join("dockbell.toml"), "it is no directory"),
        (host.folder.path().join("dockbell.toml/state"), "Not a directory"),
    ] {
        host.state = state;
        let log = host.refuses();
        assert!(log.contains("the state directory cannot be used") && log.contains(said), "{log}");
        let named = host.state.ancestors().take(2).any(|path| log.contains(&path.display().to_string()));
        assert!(named, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_directory_of_another_user_it_does_not_start() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can be two users");
        return;
    }
    let host = Host::new(AT_ONCE).await;
    let open_to_all = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    fs::create_dir(&host.state).unwrap();
    open_to_all(host.folder.path());
    open_to_all(&host.state);
    // Where the other user can reach it.
    let copy = host.folder.path().join("dockbell");
    fs::copy(DOCKBELL, &copy).unwrap();
    let mut command = program(copy.to_str().unwrap());
    let given = host.command();
    command.envs(given.get_envs().filter_map(|(name, value)| Some((name, value?)))).uid(65_534).gid(65_534);
    let Ended { status, log, .. } = Program::start(&mut command).ended();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("it belongs to user 0, and dockbell runs as user 65534"), "{log}");
    assert!(log.contains("\nhint: `chown -R 65534` it"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_moved_aside_and_told() {
    let host = Host::new(AT_ONCE).await;
    let first = host.watching(1).await;
    host.engine.send(die("before").line());
    first.output(|output| output.contains("before"));
    assert_eq!(first.terminate().status.code(), Some(0));
    fs::write(host.state.join("state.db"), "this was a database").unwrap();

    let second = host.watching(2).await;
    let log = second.logged("the store was damaged");
    assert!(log.contains("ERROR") && log.contains("hint: keep the file"), "{log}");
    second.output(|output| output.contains("\"gap\""));
    host.engine.send(die("after").line());
    second.output(|output| output.contains("after"));
    let Ended { status, output, log } = second.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(names(&output), ["after"]);
    let reason = gaps(&output)[0]["Actor"]["Attributes"]["reason"].to_string();
    assert!(reason.contains("the store was damaged"), "{reason}");
    let files = fs::read_dir(&host.state).unwrap().map(|file| file.unwrap().path());
    let aside: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().contains("state.db.corrupt-")).collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read_to_string(&aside[0]).unwrap(), "this was a database");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_to_flush_ends_it_and_the_next_start_goes_on_with_nothing_lost() {
    let mut host = Host::new(AT_ONCE).await;
    let Some(library) = preload(host.folder.path(), FAILING_DISK) else { return };
    let broken = host.folder.path().join("broken");
    host.environment = vec![("LD_PRELOAD", library), ("DOCKBELL_TEST_DISK", broken.clone())];
    let first = host.watching(1).await;
    host.engine.send(die("before").line());
    first.output(|output| output.contains("before"));
    fs::write(&broken, "").unwrap();
    host.engine.send(die("meanwhile").line());
    let Ended { status, output, log } = first.ended();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("the disk failed under the store") && log.contains("hint: look into the kernel's log"),
        "{log}"
    );
    let mut all = names(&output);

    // With the disk still broken it does not even start.
    assert!(host.refuses().contains("error"), "it says why");
    fs::remove_file(&broken).unwrap();
    let second = host.watching(2).await;
    host.engine.send(die("after").line());
    second.output(|output| output.contains("after"));
    let Ended { status, output, log } = second.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    all.extend(names(&output));
    // What was being told when the disk broke is told again: nobody knows whether it was.
    all.dedup();
    assert_eq!(all, ["before", "meanwhile", "after"], "{output}");
    assert!(gaps(&output).is_empty(), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_of_a_newer_dockbell_is_refused_and_left_as_it_is() {
    let host = Host::new(AT_ONCE).await;
    assert_eq!(host.watching(1).await.terminate().status.code(), Some(0));
    let path = host.state.join("state.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 77).unwrap();
    drop(db);
    let before = fs::read(&path).unwrap();
    let log = host.refuses();
    assert!(log.contains("the store is of a newer dockbell: its version is 77"), "{log}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_by_a_day_makes_no_storm_and_leaves_nothing_behind() {
    for seconds in ["-86400", "86400"] {
        let mut host = Host::new("settle = \"0s\"\nwindow = \"2s\"\nwindow-max = \"2s\"\n").await;
        let Some(library) = preload(host.folder.path(), WRONG_CLOCK) else { return };
        let clock = host.folder.path().join("clock");
        fs::write(&clock, "0").unwrap();
        host.environment = vec![("LD_PRELOAD", library), ("DOCKBELL_TEST_CLOCK", clock.clone())];
        let first = host.watching(1).await;
        host.engine.send(die("one").line());
        first.output(|output| output.contains("one"));
        // It waits in the window that is open now.
        host.engine.send(die("two").line());
        fs::write(&clock, seconds).unwrap();
        first.output(|output| output.contains("two"));
        host.engine.send(die("three").line());
        first.output(|output| output.contains("three"));
        host.make_room_for_messages();
        let first = first.terminate();
        assert_eq!(first.status.code(), Some(0), "{}", first.log);
        assert!(first.output.lines().count() <= 6, "{}", first.output);
        // The same clock, and then the right one again.
        let second = host.watching(2).await;
        host.engine.send(die("four").line());
        second.output(|output| output.contains("four"));
        host.engine.send(die("five").line());
        fs::write(&clock, "0").unwrap();
        second.output(|output| output.contains("five"));
        let second = second.terminate();
        assert_eq!(second.status.code(), Some(0), "{}", second.log);
        assert!(second.output.lines().count() <= 6, "{}", second.output);
        let all = [names(&first.output), names(&second.output)].concat();
        assert_eq!(all, ["one", "two", "three", "four", "five"], "{seconds} s");
        let file = fs::read_to_string(host.folder.path().join("later/ops.jsonl")).unwrap();
        let mut delivered = names(&file);
        delivered.sort();
        assert_eq!(delivered, ["five", "four", "one", "three", "two"], "{seconds} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_asleep_for_six_days_gives_up_no_message() {
    let mut host = Host::new(AT_ONCE).await;
    let Some(library) = preload(host.folder.path(), WRONG_CLOCK) else { return };
    let clock = host.folder.path().join("clock");
    fs::write(&clock, "0").unwrap();
    host.environment = vec![("LD_PRELOAD", library), ("DOCKBELL_TEST_CLOCK", clock.clone())];
    let program = host.watching(1).await;
    host.engine.send(die("one").line());
    program.output(|output| output.contains("one"));
    program.logged("The sink takes nothing; its messages wait.");
    fs::write(&clock, (6 * 24 * 3600).to_string()).unwrap();
    host.engine.send(die("two").line());
    program.output(|output| output.contains("two"));
    // It goes on trying for so long that whatever looks for old messages has looked.
    program.log(|log| log.matches("The sink takes nothing; its messages wait.").count() >= 5);
    host.make_room_for_messages();
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(!ended.log.contains("given up") && !ended.log.contains("dead letter"), "{}", ended.log);
    let mut delivered = names(&fs::read_to_string(host.folder.path().join("later/ops.jsonl")).unwrap());
    delivered.sort();
    assert_eq!(delivered, ["one", "two"]);
}
