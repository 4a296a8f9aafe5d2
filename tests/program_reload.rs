//! Another configuration while the program runs: what can be used takes over, what cannot changes nothing, and no event is
//! lost or told twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use dockbell_tests::engine::ScriptedEngine;
use dockbell_tests::guests::Guest;
use dockbell_tests::load::{Dice, Load};
use dockbell_tests::program::{Program, wait_until};
use dockbell_tests::rig::{PATIENCE, Rig, Told, counted, expected, numbered, own};
use dockbell_tests::smtp::{Fault, Stage};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// What the log says when another configuration has taken over, and when it has not.
const RUNS: &str = "the new configuration runs";
const FAILED: &str = "the new configuration cannot be used";

/// Shows each event on the terminal as soon as it is stored.
const SEEN: &str = "[routes.seen]\nformatter = \"plain\"\nfilters = []\nsettle = \"0s\"\nwindow = \"0s\"\n\
     to = [\"terminal\"]\n[sinks.terminal]\ntype = \"stdout\"\n";

fn route(settle: &str, window: &str, rest: &str) -> String {
    format!(
        "[routes.default]\nformatter = \"json\"\nfilters = []\nsettle = \"{settle}\"\nwindow = \"{window}\"\n\
         to = [\"ops\"]\n{rest}\n"
    )
}

/// Waits until the log has said this so many times.
fn logged(program: &Program, what: &str, times: usize) {
    program.log(|log| log.matches(what).count() >= times);
}

fn stored(program: &Program, number: u32) {
    let name = format!("e-{number} ");
    program.output(|output| output.contains(&name));
}

fn happen(rig: &Rig, program: &Program, numbers: std::ops::Range<u32>) {
    numbers.clone().for_each(|number| rig.engine.send(numbered(number)));
    numbers.for_each(|number| stored(program, number));
}

fn total(told: &[Told]) -> u64 {
    told.iter().map(Told::of_engine).sum()
}

#[track_caller]
fn assert_told(rig: &Rig, numbers: std::ops::Range<u32>) {
    let told = rig.told();
    assert_eq!(counted(&told), expected(numbers), "{told:#?}");
    assert_eq!(rig.mail.mails().len(), told.len(), "each was sent once");
    assert_eq!(own(&told, "gap"), 0);
}

/// Open files and threads of a process.
fn held(program: &Program) -> [usize; 2] {
    ["fd", "task"].map(|what| fs::read_dir(format!("/proc/{}/{what}", program.id())).unwrap().count())
}

fn resident_kib(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_under_load_lose_nothing_and_tell_nothing_twice() {
    const RELOADS: usize = 100;
    let rig = Rig::new(DOCKBELL).await;
    let archive = rig.file("archive.jsonl");
    let component = rig.file("all.wasm");
    let place = component.display();
    // A filter that passes all, as two components: they differ in a text that nobody reads.
    let components = ["one", "two"].map(|text| {
        let mut guest = Guest::filter();
        let _ = guest.text(text);
        guest.component()
    });
    let configure = |turn: usize| {
        let (window, by) = ([100, 150, 70][turn % 3], ["none", "kind"][turn / 2 % 2]);
        let extra = "[routes.extra]\nformatter = \"json\"\nfilters = []\nto = [\"void\"]\n\
             [sinks.void]\ntype = \"file\"\npath = \"/dev/null\"\n";
        let rest = format!(
            "[plugins.all]\ncomponent = \"{place}\"\ntimeout = \"10s\"\n\
             [routes.default]\nformatter = \"json\"\nfilters = [\"all\"]\nsettle = \"30ms\"\nwindow = \"{window}ms\"\n\
             group-by = \"{by}\"\nto = [\"ops\"]\n\
             [routes.everything]\nformatter = \"json\"\nfilters = []\nsettle = \"0s\"\nwindow = \"50ms\"\n\
             to = [\"archive\"]\n[sinks.archive]\ntype = \"file\"\npath = \"{}\"\n{}",
            archive.display(),
            if turn % 4 == 3 { extra } else { "" },
        );
        rig.configure("", &rest);
    };
    fs::write(&component, &components[0]).unwrap();
    configure(0);
    let program = rig.start().await;
    let (mut load, mut dice) = (Load::new(archive.clone()), Dice::new(1));
    load.run_for(&rig, Duration::from_millis(300), &mut dice).await;
    let (mut before, mut rss) = ([0; 2], 0);
    for turn in 1..=RELOADS {
        if turn % 5 == 0 {
            let new = rig.file("new.wasm");
            fs::write(&new, &components[turn / 5 % 2]).unwrap();
            fs::rename(&new, &component).unwrap();
        }
        if turn % 10 == 7 {
            let (stage, fault) = dice.fault();
            rig.mail.once(stage, fault);
        }
        configure(turn);
        program.hang_up();
        let begun = Instant::now();
        let done = |log: &str| log.matches(RUNS).count() >= turn;
        while !done(&program.log(|_| true)) {
            assert!(begun.elapsed() < PATIENCE, "reload {turn}: {}", program.log(|_| true));
            load.run_for(&rig, Duration::from_millis(5), &mut dice).await;
        }
        if turn == 20 {
            (before, rss) = (held(&program), resident_kib(&program));
        }
    }
    load.run_for(&rig, Duration::from_millis(200), &mut dice).await;
    load.settled().await;
    let told = rig.wait_told(|told| total(told) >= u64::from(load.sent)).await;
    wait_until(|| held(&program).iter().zip(&before).all(|(now, before)| *now <= before + 8));
    let grown = resident_kib(&program).saturating_sub(rss);
    assert!(grown < 24 << 10, "80 reloads left {grown} KiB behind");
    let log = program.terminate().log;
    assert!(!log.contains(FAILED) && !log.contains("panicked"), "{log}");
    let wanted = expected(0..load.sent);
    assert_eq!(counted(&rig.told()), wanted);
    assert_eq!((&load.archive.counts, load.archive.twice), (&wanted, 0));
    assert_eq!((own(&told, "gap"), load.archive.gaps), (0, 0));
    println!(
        "{} events over {} reloads, {} mails; grown by {grown} KiB",
        load.sent,
        log.matches(RUNS).count(),
        told.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_used_changes_nothing_and_is_told() {
    let rig = Rig::new(DOCKBELL).await;
    let good = route("0s", "50ms", "");
    rig.configure("", &good);
    let program = rig.start().await;
    let mut failed = 0;
    for bad in [
        "not TOML".to_owned(),
        route("0s", "50ms", "colour = \"red\""),
        good.replace("filters = []", "filters = [\"gone\"]") + "[plugins.gone]\ncomponent = \"/nowhere/gone.wasm\"\n",
        good.replace("filters = []", "filters = [\"bad\"]")
            + "[plugins.bad]\ncomponent = \"match\"\nconfig = { nonsense = 1 }\n",
        good.clone()
            + "[routes.two]\nto = [\"two\"]\n[sinks.two]\ntype = \"webhook\"\nurl = \"https://a\"\nca = \"/nowhere\"\n",
    ] {
        rig.configure("", &bad);
        program.hang_up();
        failed += 1;
        logged(&program, FAILED, failed);
        rig.engine.send(numbered(u32::try_from(failed).unwrap()));
        let failures = u64::try_from(failed).unwrap();
        rig.wait_told(|told| total(told) == failures && own(told, "reload_failed") == failures).await;
    }
    let told = rig.told();
    let events = told.iter().flat_map(|told| &told.events).filter(|event| event["Action"] == "reload_failed");
    let reasons: Vec<&str> = events.map(|event| event["Actor"]["Attributes"]["error"].as_str().unwrap()).collect();
    assert!(reasons[1].contains("unknown key") && reasons[2].contains("plugin `gone`"), "{reasons:?}");
    rig.configure("", &good);
    program.hang_up();
    logged(&program, RUNS, 1);
    rig.engine.send(numbered(0));
    rig.wait_told(|told| total(told) == 6 && own(told, "reloaded") == 1).await;
    let log = program.terminate().log;
    assert!(log.contains("hint: "), "{log}");
    assert_told(&rig, 0..6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_enough_in_place_by_rename_or_behind_a_link() {
    let rig = Rig::new(DOCKBELL).await;
    let configuration =
        |number: usize| rig.configure(&format!("grace = \"{}s\"", 5 + number), &route("0s", "50ms", ""));
    let file = rig.file("dockbell.toml");
    configuration(0);
    let program = rig.start().await;
    configuration(1);
    logged(&program, RUNS, 1);
    // As an editor does it.
    let new = rig.file("dockbell.toml.new");
    fs::copy(&file, &new).unwrap();
    fs::rename(&new, &file).unwrap();
    logged(&program, RUNS, 2);
    // As Kubernetes does it: the file leads through a link that is swapped.
    for version in ["v1", "v2"] {
        fs::create_dir(rig.file(version)).unwrap();
        fs::copy(&file, rig.file(version).join("dockbell.toml")).unwrap();
    }
    symlink("v1", rig.file("data")).unwrap();
    fs::remove_file(&file).unwrap();
    symlink("data/dockbell.toml", &file).unwrap();
    logged(&program, RUNS, 3);
    symlink("v2", rig.file("data_new")).unwrap();
    fs::rename(rig.file("data_new"), rig.file("data")).unwrap();
    logged(&program, RUNS, 4);
    program.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_component_takes_over_and_a_bad_one_does_not() {
    let rig = Rig::new(DOCKBELL).await;
    let component = rig.file("filter.wasm");
    let mut nobody = Guest::filter();
    nobody.accept("(call $answer (i32.const 0))");
    let replace = |bytes: &[u8]| {
        fs::write(rig.file("new.wasm"), bytes).unwrap();
        fs::rename(rig.file("new.wasm"), &component).unwrap();
    };
    replace(&nobody.component());
    let plugin = format!("[plugins.mine]\ncomponent = \"{}\"\ntimeout = \"10s\"\n", component.display());
    rig.configure("", &(route("0s", "50ms", "").replace("[]", "[\"mine\"]") + &plugin + SEEN));
    let program = rig.start().await;
    happen(&rig, &program, 0..3);
    replace(&Guest::filter().component());
    logged(&program, RUNS, 1);
    happen(&rig, &program, 3..5);
    rig.wait_told(|told| total(told) == 2).await;
    replace(b"\0asm what is this");
    logged(&program, FAILED, 1);
    happen(&rig, &program, 5..6);
    rig.wait_told(|told| total(told) == 3).await;
    replace(&nobody.component());
    logged(&program, RUNS, 2);
    happen(&rig, &program, 6..8);
    program.terminate();
    assert_told(&rig, 3..6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_digest_keeps_its_time() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("", &(route("500ms", "8s", "") + SEEN));
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    let first = rig.wait_told(|told| total(told) == 1).await;
    happen(&rig, &program, 1..4);
    // A window that runs ends as it would have, however long the next one is.
    for (reload, window) in ["5s", "20s"].iter().enumerate() {
        rig.configure("", &(route("500ms", window, "") + SEEN));
        program.hang_up();
        logged(&program, RUNS, reload + 1);
    }
    happen(&rig, &program, 4..5);
    let told = rig.wait_told(|told| total(told) == 5).await;
    let digest = told.last().unwrap();
    let window = digest.at - first[0].at;
    assert!((Duration::from_millis(7_800)..Duration::from_secs(16)).contains(&window), "{window:?}");
    assert_eq!((told.len(), digest.phase.as_str()), (2, "digest"));
    program.terminate();
    assert_told(&rig, 0..5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_of_a_route_that_did_not_change_keeps_what_it_knows() {
    let rig = Rig::new(DOCKBELL).await;
    let component = rig.file("third.wasm");
    let mut third = Guest::filter();
    third.field("(global $calls (mut i32) (i32.const 0))").accept(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (call $answer (i32.eq (global.get $calls) (i32.const 3)))",
    );
    fs::write(&component, third.component()).unwrap();
    let plugin = format!("[plugins.third]\ncomponent = \"{}\"\ntimeout = \"10s\"\n", component.display());
    let default = route("0s", "50ms", "engines = [\"local\"]").replace("[]", "[\"third\"]") + &plugin;
    rig.configure("", &(default.clone() + SEEN));
    let program = rig.start().await;
    // dockbell's own events come to the filter, too: the first is `started`.
    happen(&rig, &program, 0..1);
    rig.configure("", &(default + &SEEN.replace("window = \"0s\"", "window = \"0s\"\ngroup-by = \"kind\"")));
    program.hang_up();
    let log = program.logged(RUNS);
    assert!(log.contains("routes=\"seen\""), "only that one: {log}");
    // The third is `reloaded`.
    rig.wait_told(|told| own(told, "reloaded") == 1).await;
    happen(&rig, &program, 1..3);
    program.terminate();
    assert_eq!(total(&rig.told()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_being_sent_is_sent_once() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("", &(route("0s", "50ms", "") + SEEN));
    rig.mail.once(Stage::Dot, Fault::Pause(Duration::from_millis(700)));
    let program = rig.start().await;
    happen(&rig, &program, 0..1);
    rig.mail.wait_until(PATIENCE, |mail| mail.attempts().len() == 1).await;
    rig.configure("hostname = \"other\"", &(route("0s", "60ms", "") + SEEN));
    fs::write(
        rig.file("dockbell.toml"),
        fs::read_to_string(rig.file("dockbell.toml")).unwrap().replacen("hostname = \"host-1\"\n", "", 1),
    )
    .unwrap();
    program.hang_up();
    logged(&program, RUNS, 1);
    happen(&rig, &program, 1..3);
    rig.wait_told(|told| total(told) == 3).await;
    program.terminate();
    assert_eq!(rig.mail.attempts().len(), rig.mail.mails().len());
    assert_told(&rig, 0..3);
    let last = rig.mail.mails().pop().unwrap();
    assert!(String::from_utf8_lossy(&last.bytes).contains("other"), "the new name is in new messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_sink_that_is_removed_waits_until_it_is_back() {
    let rig = Rig::new(DOCKBELL).await;
    let both = route("0s", "50ms", "").replace("[\"ops\"]", "[\"ops\", \"terminal\"]") + SEEN;
    rig.configure("", &both);
    rig.mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let program = rig.start().await;
    happen(&rig, &program, 0..3);
    // Both routes have told all: what is open is told to whom the next configuration says.
    let both_told = |name: &str| program.output(|output| output.matches(name).count() > 1);
    (0..3).for_each(|number| drop(both_told(&format!("e-{number}"))));
    rig.configure("", &both.replace("[\"ops\", \"terminal\"]", "[\"terminal\"]"));
    program.hang_up();
    logged(&program, RUNS, 1);
    program.logged("messages wait for sinks that no route tells any more");
    rig.mail.heal();
    happen(&rig, &program, 3..4);
    both_told("e-3");
    assert!(rig.told().is_empty());
    rig.configure("", &both);
    program.hang_up();
    logged(&program, RUNS, 2);
    rig.wait_told(|told| total(told) == 3).await;
    program.terminate();
    assert_told(&rig, 0..3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_is_removed_tells_what_it_has() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("", &(route("10m", "10m", "") + SEEN));
    let program = rig.start().await;
    happen(&rig, &program, 0..3);
    let other = route("10m", "10m", "").replace("routes.default", "routes.other");
    rig.configure("", &(other.clone() + SEEN));
    program.hang_up();
    rig.wait_told(|told| total(told) == 3).await;
    logged(&program, RUNS, 1);
    happen(&rig, &program, 3..5);
    assert_eq!(total(&rig.told()), 3, "the new route tells what is new, in its own time");
    program.terminate();
    assert_told(&rig, 0..5);
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_come_and_go_and_lead_elsewhere() {
    let rig = Rig::new(DOCKBELL).await;
    let other = ScriptedEngine::unix().await;
    other.be("engine-2");
    let engine = |name: &str, engine: &ScriptedEngine| format!("[engines.{name}]\nhost = \"{}\"\n", engine.host());
    rig.configure("", &(route("0s", "50ms", "") + SEEN));
    let program = rig.start().await;
    happen(&rig, &program, 0..2);
    // One more.
    rig.configure("", &(engine("other", &other) + &route("0s", "50ms", "") + SEEN));
    program.hang_up();
    logged(&program, RUNS, 1);
    other.subscribed(1).await;
    other.send(numbered(2));
    stored(&program, 2);
    assert_eq!(rig.engine.streams(), 1, "the first was left alone");
    // The second alone is gone; what happens there is told by nobody.
    rig.configure("", &(route("0s", "50ms", "") + SEEN));
    program.hang_up();
    logged(&program, RUNS, 2);
    other.unsubscribed().await;
    happen(&rig, &program, 3..5);
    // It comes back, and what it remembers is told.
    other.send(numbered(5));
    rig.configure("", &(engine("other", &other) + &route("0s", "50ms", "") + SEEN));
    program.hang_up();
    stored(&program, 5);
    rig.wait_told(|told| total(told) == 6).await;
    program.terminate();
    assert_told(&rig, 0..6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restart_alone_can_change_is_said() {
    let rig = Rig::new(DOCKBELL).await;
    let terminal = SEEN.replace("routes.seen", "routes.default");
    rig.configure("", &terminal);
    let mut command = rig.command(Path::new("none"));
    command.env_remove("DOCKBELL_STATE").env("HOME", rig.file("home"));
    // The state directory is not named, and so depends on the configuration.
    let arguments: Vec<_> =
        command.get_args().take_while(|argument| *argument != "--state").map(ToOwned::to_owned).collect();
    let mut unnamed = dockbell_tests::program::program(DOCKBELL);
    unnamed.args(arguments).env_remove("DOCKBELL_STATE").env("HOME", rig.file("home"));
    let program = Program::start(&mut unnamed);
    rig.engine.subscribed(1).await;
    rig.configure("", &(route("0s", "50ms", "") + SEEN));
    program.hang_up();
    let log = program.logged(RUNS);
    assert!(log.contains("the state directory is not changed while dockbell runs: none until a restart"), "{log}");
    rig.engine.send(numbered(0));
    rig.wait_told(|told| total(told) == 1).await;
    program.terminate();
}
