//! The program killed at the worst moments, and started again on its state directory: what it had read is told once, at the
//! time at which it would have been told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dockbell_tests::engine::REMEMBERS;
use dockbell_tests::program::Program;
use dockbell_tests::rig::{PATIENCE, Rig, Told, counted, expected, numbered, own, told_in};
use dockbell_tests::smtp::{Fault, Mail, Stage};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Shows each event on the terminal as soon as it is stored.
const SEEN: &str = "[routes.seen]\nformatter = \"plain\"\nfilters = []\nsettle = \"0s\"\nwindow = \"0s\"\n\
     to = [\"terminal\"]\n[sinks.terminal]\ntype = \"stdout\"\n";

/// Mails everything as JSON at this pace, and shows each event on the terminal.
async fn rig(settle: &str, window: &str) -> Rig {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("", &(route(settle, window) + SEEN));
    rig
}

fn route(settle: &str, window: &str) -> String {
    format!(
        "[routes.default]\nformatter = \"json\"\nfilters = []\nsettle = \"{settle}\"\nwindow = \"{window}\"\n\
         to = [\"ops\"]\n"
    )
}

/// Waits until the program has stored the event with this number.
fn stored(program: &Program, number: u32) {
    let name = format!("e-{number} ");
    program.output(|output| output.contains(&name));
}

/// Lets these events happen, and waits until they are stored.
fn happen(rig: &Rig, program: &Program, numbers: std::ops::Range<u32>) {
    for number in numbers.clone() {
        rig.engine.send(numbered(number));
    }
    numbers.for_each(|number| stored(program, number));
}

/// How many of the engine's events were told.
fn total(told: &[Told]) -> u64 {
    told.iter().map(Told::of_engine).sum()
}

/// Asserts that the mails tell each of these events once.
fn assert_told(rig: &Rig, numbers: std::ops::Range<u32>) {
    let told = rig.told();
    assert_eq!(counted(&told), expected(numbers), "{told:#?}");
}

/// What the mail server was sent with the same id as this mail.
fn copies(rig: &Rig, mail: &Mail) -> Vec<Mail> {
    let id = |mail: &Mail| {
        let text = String::from_utf8_lossy(&mail.bytes).into_owned();
        text.lines().find(|line| line.starts_with("Message-ID: ")).unwrap().to_owned()
    };
    rig.mail.attempts().into_iter().filter(|other| id(other) == id(mail)).collect()
}

fn says(rig: &Rig, command: &str) -> bool {
    rig.mail.commands().iter().any(|said| said.line.starts_with(command))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_an_event_settles_leaves_its_time_where_it_was() {
    let rig = rig("6s", "10m").await;
    let program = rig.start().await;
    let happened = Instant::now();
    happen(&rig, &program, 0..3);
    program.kill();
    assert!(rig.told().is_empty());
    let program = rig.start().await;
    let again = Instant::now();
    let told = rig.wait_told(|told| total(told) >= 3).await;
    assert!(told[0].at + Duration::from_millis(100) >= happened + Duration::from_secs(6), "not before its time");
    assert!(told[0].at < again + Duration::from_secs(6), "the time does not begin anew");
    assert_eq!((told.len(), told[0].phase.as_str()), (1, "first"));
    program.terminate();
    assert_told(&rig, 0..3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_within_a_window_leaves_its_end_where_it_was() {
    let rig = rig("500ms", "8s").await;
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    let first = rig.wait_told(|told| total(told) == 1).await;
    happen(&rig, &program, 1..5);
    program.kill();
    let program = rig.start().await;
    let again = Instant::now();
    let told = rig.wait_told(|told| total(told) == 5).await;
    let digest = told.last().unwrap();
    let window = digest.at - first[0].at;
    assert!(window + Duration::from_millis(200) >= Duration::from_secs(8), "not before its end: {window:?}");
    assert!(digest.at < again + Duration::from_secs(8), "the window does not begin anew");
    assert_eq!((told.len(), digest.phase.as_str()), (2, "digest"));
    program.terminate();
    assert_told(&rig, 0..5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_ended_while_nothing_ran_is_told_at_once() {
    let rig = rig("0s", "1s").await;
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    let first = rig.wait_told(|told| total(told) == 1).await;
    happen(&rig, &program, 1..3);
    program.kill();
    let over = first[0].at + Duration::from_secs(2);
    tokio::time::sleep_until(over.into()).await;
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 3).await;
    program.terminate();
    assert_told(&rig, 0..3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_data_sends_one_mail() {
    let rig = rig("0s", "200ms").await;
    rig.mail.always(Stage::Rcpt, Fault::Stall);
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    rig.mail.wait_until(PATIENCE, |_| says(&rig, "RCPT")).await;
    program.kill();
    rig.mail.heal();
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 1).await;
    program.terminate();
    assert!(rig.mail.attempts().iter().all(|mail| copies(&rig, mail).len() == 1));
    assert_told(&rig, 0..1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_within_data_sends_one_mail() {
    let rig = rig("0s", "200ms").await;
    rig.mail.always(Stage::Body, Fault::Stall);
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    rig.mail.wait_until(PATIENCE, |_| says(&rig, "DATA")).await;
    program.kill();
    rig.mail.wait_until(PATIENCE, |mail| mail.open_connections() == 0).await;
    rig.mail.heal();
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 1).await;
    program.terminate();
    assert!(rig.mail.attempts().iter().all(|mail| copies(&rig, mail).len() == 1));
    assert_told(&rig, 0..1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_dot_and_the_answer_sends_the_same_mail_again() {
    let rig = rig("0s", "200ms").await;
    rig.mail.always(Stage::Dot, Fault::Stall);
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    rig.mail.wait_until(PATIENCE, |mail| mail.attempts().len() == 1).await;
    program.kill();
    rig.mail.heal();
    let program = rig.start().await;
    program.logged("dockbell ended while it sent this message; it may have arrived");
    rig.wait_told(|told| total(told) == 1).await;
    program.terminate();
    let first = rig.mail.attempts().remove(0);
    let copies = copies(&rig, &first);
    assert_eq!(copies.len(), 2);
    assert_eq!(copies[1].bytes, first.bytes);
    assert_told(&rig, 0..1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_the_answer_sends_nothing_again() {
    let rig = rig("0s", "0s").await;
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    rig.wait_told(|told| total(told) == 1).await;
    // That the next one is begun shows that the answer to the first is stored.
    rig.mail.always(Stage::Mail, Fault::Stall);
    let begun = rig.mail.commands().iter().filter(|command| command.line.starts_with("MAIL")).count();
    happen(&rig, &program, 1..2);
    let mails = |mail: &dockbell_tests::smtp::ScriptedSmtp| {
        mail.commands().iter().filter(|command| command.line.starts_with("MAIL")).count()
    };
    rig.mail.wait_until(PATIENCE, |mail| mails(mail) > begun).await;
    program.kill();
    rig.mail.heal();
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 2).await;
    program.terminate();
    assert!(rig.mail.attempts().iter().all(|mail| copies(&rig, mail).len() == 1));
    assert_told(&rig, 0..2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_the_mail_server_is_down_loses_nothing() {
    let rig = rig("0s", "50ms").await;
    rig.mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let program = rig.start().await;
    happen(&rig, &program, 0..10);
    program.logged("421");
    program.kill();
    let program = rig.start().await;
    happen(&rig, &program, 10..20);
    program.kill();
    rig.mail.heal();
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 20).await;
    program.terminate();
    assert_told(&rig, 0..20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_after_a_kill_is_told_even_if_nothing_had_happened_before() {
    let rig = rig("0s", "50ms").await;
    let program = rig.start().await;
    let database = rig.state().join("state.db");
    let positions = || {
        let database = rusqlite::Connection::open_with_flags(&database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
        database.unwrap().query_row("SELECT count(*) FROM position", (), |row| row.get::<_, u32>(0)).unwrap()
    };
    let begun = Instant::now();
    while positions() == 0 {
        assert!(begun.elapsed() < PATIENCE, "no position is stored");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    program.kill();
    rig.engine.send(numbered(0));
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 1).await;
    program.terminate();
    assert_told(&rig, 0..1);
    assert_eq!(own(&rig.told(), "gap"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_for_a_sink_that_no_route_tells_any_more_wait_until_one_does() {
    let (rig, archive) = archived("0s", "50ms").await;
    rig.mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let program = rig.start().await;
    happen(&rig, &program, 0..3);
    archive_holds(&archive, |told| total(told) == 3).await;
    program.kill();
    rig.mail.heal();
    let with_mail = fs::read_to_string(rig.file("dockbell.toml")).unwrap();
    fs::write(rig.file("dockbell.toml"), with_mail.replace("[\"ops\", \"archive\"]", "[\"archive\"]")).unwrap();
    let program = rig.start().await;
    let ended = program.terminate();
    assert!(ended.log.contains("messages wait for sinks that no route tells any more"), "{}", ended.log);
    assert!(rig.told().is_empty());
    fs::write(rig.file("dockbell.toml"), with_mail).unwrap();
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 3).await;
    program.terminate();
    assert_told(&rig, 0..3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_burst_tells_what_was_read_once_and_that_the_rest_is_missing() {
    const BURST: u32 = 20_000;
    let rig = rig("0s", "200ms").await;
    let program = rig.start().await;
    let lines = |numbers: std::ops::Range<u32>| numbers.map(|number| Bytes::from(numbered(number).line() + "\n"));
    let remembered = u32::try_from(REMEMBERS).unwrap();
    rig.engine.send_lines(lines(0..BURST - remembered));
    (BURST - remembered..BURST).for_each(|number| rig.engine.send(numbered(number)));
    // Somewhere within: some is stored, the rest is still coming. Of a large batch only the last ones are shown.
    let far = |line: &str| line.split(" e-").nth(1)?.split(' ').next()?.parse::<u32>().ok();
    program.output(|output| output.lines().rev().take(60).any(|line| far(line).is_some_and(|number| number >= 2_000)));
    program.kill();
    let before = total(&rig.told());
    let program = rig.start().await;
    program.output(|output| output.contains(&format!("e-{} ", BURST - 1)));
    rig.engine.send(numbered(BURST));
    stored(&program, BURST);
    // That something is missing is known once the engine has repeated all it remembers.
    rig.wait_told(|told| total(told) > u64::from(BURST) || own(told, "gap") > 0).await;
    program.terminate();
    let told = rig.told();
    let read = u32::try_from(total(&told)).unwrap() - remembered - 1;
    assert!(u64::from(read) >= before && read >= 2_000, "{read} were read, {before} told before the kill");
    println!("{read} of {BURST} were read before the kill, {before} told");
    // The first so many, and what the engine remembered.
    assert_eq!(counted(&told), expected((0..read).chain(BURST - remembered..=BURST)));
    assert!(read == BURST - remembered || own(&told, "gap") > 0, "what is missing is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_the_mail_that_is_being_sent() {
    let rig = rig("0s", "200ms").await;
    rig.mail.once(Stage::Dot, Fault::Pause(Duration::from_millis(700)));
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    rig.mail.wait_until(PATIENCE, |mail| mail.attempts().len() == 1).await;
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(rig.mail.attempts()[0].accepted);
    let program = rig.start().await;
    program.terminate();
    assert!(rig.mail.attempts().iter().all(|mail| copies(&rig, mail).len() == 1));
    assert_told(&rig, 0..1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_cannot_wait_longer_sends_the_same_mail_after_the_next_start() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("grace = \"300ms\"", &(route("0s", "200ms") + SEEN));
    rig.mail.always(Stage::Dot, Fault::Stall);
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    rig.mail.wait_until(PATIENCE, |mail| mail.attempts().len() == 1).await;
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "it is kept: {}", ended.log);
    assert!(ended.log.contains("that is done after the next start"), "{}", ended.log);
    rig.mail.heal();
    let program = rig.start().await;
    rig.wait_told(|told| total(told) == 1).await;
    program.terminate();
    let first = rig.mail.attempts().remove(0);
    let copies = copies(&rig, &first);
    assert!(copies.len() == 2 && copies[0].bytes == copies[1].bytes, "{}", copies.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_program_on_the_same_directory_names_the_first_and_ends() {
    let rig = rig("0s", "200ms").await;
    let first = rig.start().await;
    let second = Program::start(&mut rig.command(&rig.state())).ended();
    assert_eq!(second.status.code(), Some(1), "{}", second.log);
    assert!(second.log.contains(&first.id().to_string()), "the holder is named: {}", second.log);
    assert!(second.log.contains("hint: "), "{}", second.log);
    happen(&rig, &first, 0..1);
    rig.wait_told(|told| total(told) == 1).await;
    assert_eq!(first.terminate().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_directory_sends_none_of_the_other_hosts_messages() {
    let (rig, archive) = archived("0s", "50ms").await;
    rig.mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let program = rig.start().await;
    happen(&rig, &program, 0..5);
    // Messages of them wait in the outbox; what still waited for its digest would be told.
    archive_holds(&archive, |told| total(told) == 5).await;
    program.logged("421");
    program.kill();
    let copy = rig.file("copy");
    copied(&rig.state(), &copy);
    rig.mail.heal();
    // The same place, and another engine.
    rig.engine.be("engine-2");
    rig.engine.forget();
    rig.mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let program = rig.start_in(&copy).await;
    program.logged("the state directory is another engine's");
    program.output(|output| output.contains("another engine answers under this name"));
    program.kill();
    // From now on it is that engine's, even if nothing has happened there.
    rig.mail.heal();
    let program = rig.start_in(&copy).await;
    rig.wait_told(|told| own(told, "gap") >= 1).await;
    happen(&rig, &program, 5..6);
    rig.wait_told(|told| total(told) >= 1).await;
    let log = program.terminate().log;
    assert!(!log.contains("the state directory is another engine's"), "{log}");
    assert_eq!(counted(&rig.told()), expected(5..6));
}

fn copied(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// As [`rig`], and every message goes into a file, too.
async fn archived(settle: &str, window: &str) -> (Rig, PathBuf) {
    let rig = Rig::new(DOCKBELL).await;
    let archive = rig.file("archive.jsonl");
    let route = route(settle, window).replace("to = [\"ops\"]", "to = [\"ops\", \"archive\"]");
    rig.configure("", &format!("{route}[sinks.archive]\ntype = \"file\"\npath = \"{}\"\n{SEEN}", archive.display()));
    (rig, archive)
}

async fn archive_holds(archive: &Path, wanted: impl Fn(&[Told]) -> bool) {
    let begun = Instant::now();
    while !wanted(&told_in(archive)) {
        assert!(begun.elapsed() < PATIENCE, "{:#?}", told_in(archive));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_of_twenty_windows_there_are_two_messages() {
    let (rig, archive) = archived("50ms", "150ms").await;
    rig.mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let program = rig.start().await;
    let digests = || told_in(&archive).len();
    let mut number = 0;
    while digests() < 21 {
        let before = digests();
        happen(&rig, &program, number..number + 3);
        number += 3;
        archive_holds(&archive, |told| told.len() > before).await;
    }
    archive_holds(&archive, |told| total(told) == u64::from(number)).await;
    rig.mail.heal();
    let told = rig.wait_told(|told| total(told) == u64::from(number)).await;
    assert_eq!(told.len(), 2, "the one that was tried, and one for all that came later: {told:#?}");
    assert_eq!(own(&told, "gap"), 0);
    program.terminate();
    assert_told(&rig, 0..number);
}
