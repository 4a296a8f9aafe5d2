//! The program and what it could not read: every gap is told once, with the times of the last event before it and the first
//! one after it, and who died in it is found by comparing containers, wherever the program is stopped or killed meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::HashSet;
use std::time::Duration;

use dockbell_tests::engine::{EventLine, REMEMBERS, container};
use dockbell_tests::program::{Ended, Program};
use dockbell_tests::rig::Rig;
use jiff::Timestamp;
use serde_json::{Value, json};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Every event at once, as JSON on the terminal.
const AT_ONCE: &str = "[routes.default]\nfilters = []\nformatter = \"json\"\nto = [\"terminal\"]\nsettle = \"0s\"\nwindow = \"0s\"\n\
                       [sinks.terminal]\ntype = \"stdout\"\noutput = \"json\"\n";

async fn rig() -> Rig {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure("", AT_ONCE);
    rig
}

/// A container of the engine: its id comes from its name, as that of [`EventLine::name`].
#[derive(Clone, Copy)]
struct Victim(&'static str);

impl Victim {
    fn id(self) -> String {
        let line: Value = serde_json::from_str(&container("start").name(self.0).line()).unwrap();
        line["Actor"]["ID"].as_str().unwrap().to_owned()
    }

    fn is(self, rig: &Rig, state: &Value) {
        let look = json!({"Id": self.id(), "Name": format!("/{}", self.0), "Created": "2026-01-01T00:00:00Z", "State": state,
            "Config": {"Image": "shop/web"}});
        rig.engine.set_container(&self.id(), &look.to_string());
    }

    fn runs(self, rig: &Rig) {
        self.is(rig, &json!({"Running": true, "StartedAt": "2026-01-01T00:00:00Z"}));
    }

    /// It dies, and no event says so.
    fn dies(self, rig: &Rig) {
        let now = Timestamp::now().to_string();
        self.is(rig, &json!({"Running": false, "StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": now, "ExitCode": 7}));
    }
}

/// All events that runs have told, in their order. A message that a kill left unanswered comes again, with the same bytes.
fn told(runs: &[Ended]) -> Vec<Value> {
    let mut lines: Vec<_> = runs.iter().flat_map(|run| run.output.lines()).collect();
    let mut known = HashSet::new();
    lines.retain(|line| known.insert(*line));
    let messages = lines.into_iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    messages.flat_map(|message| message["events"].as_array().unwrap().clone()).collect()
}

fn attribute<'a>(event: &'a Value, name: &str) -> &'a str {
    event["Actor"]["Attributes"][name].as_str().unwrap_or_default()
}

/// From when until when each gap was.
fn gaps(runs: &[Ended]) -> Vec<(i64, i64)> {
    let nanos = |text: &str| i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
    let told = told(runs);
    let gaps = told.iter().filter(|event| event["Action"] == "gap");
    gaps.map(|gap| (nanos(attribute(gap, "from")), nanos(attribute(gap, "to")))).collect()
}

/// Who was found to have died, with the exit codes.
fn inferred(runs: &[Ended]) -> Vec<(String, String)> {
    let told = told(runs);
    let died = told.iter().filter(|event| event["Action"] == "die" && event["facts"]["inferred"] == "true");
    died.map(|event| (attribute(event, "name").to_owned(), event["facts"]["exit-code"].as_str().unwrap().to_owned()))
        .collect()
}

fn died(victims: &[&str]) -> Vec<(String, String)> {
    victims.iter().map(|name| ((*name).to_owned(), "7".to_owned())).collect()
}

/// Waits until the program has told, and so has stored, an event with this name.
fn sees(program: &Program, name: &str) {
    program.output(|output| output.contains(&format!("\"{name}\"")));
}

/// A run that reads one event and ends; then the engine restarts, `victim` dies, and something else happens. Returns the run
/// and the events before and after the gap.
async fn away(rig: &Rig, victim: Victim) -> (Ended, EventLine, EventLine) {
    victim.runs(rig);
    let program = rig.start().await;
    rig.engine.asked(&victim.id(), 1).await;
    let before = container("start").name("before");
    rig.engine.send(&before);
    sees(&program, "before");
    let ended = program.terminate();
    rig.engine.forget();
    victim.dies(rig);
    let after = container("start").name("after");
    rig.engine.send(&after);
    (ended, before, after)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_or_a_kill_before_a_gap_is_decided_moves_neither_its_times_nor_who_died_in_it() {
    let rig = rig().await;
    let (first, before, after) = away(&rig, Victim("web")).await;
    let mut runs = vec![first];
    // Within the two seconds in which the engine might repeat more.
    for stop in [Program::kill, Program::terminate, Program::kill] {
        let program = rig.start().await;
        if runs.len() == 1 {
            sees(&program, "after");
        }
        runs.push(stop(program));
    }
    let program = rig.start().await;
    program.output(|output| output.contains("inferred"));
    rig.engine.send(container("start").name("later"));
    sees(&program, "later");
    runs.push(program.terminate());
    let program = rig.start().await;
    rig.engine.send(container("start").name("last"));
    sees(&program, "last");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    runs.push(program.terminate());
    assert_eq!(gaps(&runs), [(before.time_nanos(), after.time_nanos())], "{runs:#?}");
    assert_eq!(inferred(&runs), died(&["web"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_a_gap_and_the_comparison_leaves_the_comparison_to_the_next_start() {
    let rig = rig().await;
    let (first, before, after) = away(&rig, Victim("web")).await;
    rig.engine.refuse("/containers/json", 500, "not now");
    let program = rig.start().await;
    program.logged("what happened in the gap is not known yet");
    sees(&program, "gap");
    let second = program.kill();
    rig.engine.allow("/containers/json");
    let program = rig.start().await;
    program.output(|output| output.contains("inferred"));
    let third = program.terminate();
    let fourth = rig.start().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let runs = [first, second, third, fourth.terminate()];
    assert_eq!(gaps(&runs), [(before.time_nanos(), after.time_nanos())], "{runs:#?}");
    assert_eq!(inferred(&runs), died(&["web"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gaps_in_a_row_are_compared_each_for_itself() {
    let rig = rig().await;
    let (web, db) = (Victim("web"), Victim("db"));
    db.runs(&rig);
    let (first, before, after) = away(&rig, web).await;
    rig.engine.refuse("/containers/json", 500, "not now");
    let program = rig.start().await;
    sees(&program, "gap");
    // Its death is told, so it is not found again.
    Victim("between").dies(&rig);
    let between = container("die").name("between").attribute("exitCode", "1");
    rig.engine.send(&between);
    sees(&program, "between");
    rig.engine.forget();
    rig.engine.close();
    db.dies(&rig);
    let last = container("start").name("last");
    rig.engine.send(&last);
    rig.engine.allow("/containers/json");
    sees(&program, "db");
    let runs = [first, program.terminate()];
    let [one, two] = gaps(&runs)[..] else { panic!("{runs:#?}") };
    assert_eq!(one, (before.time_nanos(), after.time_nanos()));
    assert_eq!(two, (between.time_nanos(), last.time_nanos()));
    assert_eq!(inferred(&runs), died(&["web", "db"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_while_a_gap_is_not_decided_is_one_gap_from_its_start() {
    let rig = rig().await;
    let (first, before, _) = away(&rig, Victim("web")).await;
    let program = rig.start().await;
    sees(&program, "after");
    let second = program.kill();
    rig.engine.be("engine-2");
    rig.engine.forget();
    let program = rig.start().await;
    sees(&program, "gap");
    let third = program.kill();
    let fourth = rig.start().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let runs = [first, second, third, fourth.terminate()];
    let [(from, _)] = gaps(&runs)[..] else { panic!("{runs:#?}") };
    assert_eq!(from, before.time_nanos());
    assert!(runs[2].output.contains("another engine answers under this name"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stood_still_tells_the_gap_from_the_last_event_before_it_and_who_died_in_it() {
    let rig = rig().await;
    let (web, shop) = (Victim("web"), Victim("shop"));
    web.runs(&rig);
    shop.runs(&rig);
    let program = rig.start().await;
    rig.engine.asked(&web.id(), 1).await;
    let before = container("start").name("before");
    rig.engine.send(&before);
    sees(&program, "before");
    program.stand_still();
    // The engine drops these for the reader; it remembers the last 256, the death of `shop` among them.
    web.dies(&rig);
    let dropped: Vec<_> = (0..600).map(|_| container("rename").name("dropped")).collect();
    dropped.iter().for_each(|event| rig.engine.skip(event));
    shop.dies(&rig);
    rig.engine.skip(container("die").name("shop").attribute("exitCode", "7"));
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    program.go_on();
    program.output(|output| output.contains("inferred"));
    let runs = [program.terminate()];
    let first_known = &dropped[600 + 1 - REMEMBERS];
    assert_eq!(gaps(&runs), [(before.time_nanos(), first_known.time_nanos())], "{runs:#?}");
    assert_eq!(inferred(&runs), died(&["web"]));
    let deaths = told(&runs)
        .into_iter()
        .filter(|event| event["Action"] == "die")
        .map(|event| attribute(&event, "name").to_owned());
    assert_eq!(deaths.collect::<Vec<_>>(), ["shop", "web"], "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_engine_remembers_is_a_gap_though_nothing_was_read_in_the_run_before() {
    let rig = rig().await;
    let first = rig.start().await.terminate();
    let meanwhile: Vec<_> = (0..601).map(|_| container("rename")).collect();
    meanwhile.iter().for_each(|event| rig.engine.send(event));
    let mut runs = vec![first];
    for stop in [Program::kill, Program::terminate] {
        let program = rig.start().await;
        if runs.len() == 1 {
            program.output(|output| output.contains("rename"));
        }
        runs.push(stop(program));
    }
    let program = rig.start().await;
    sees(&program, "gap");
    runs.push(program.terminate());
    let program = rig.start().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    runs.push(program.terminate());
    let [(from, to)] = gaps(&runs)[..] else { panic!("{runs:#?}") };
    assert!(from < meanwhile[0].time_nanos());
    assert_eq!(to, meanwhile[601 - REMEMBERS].time_nanos());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_is_found_though_nothing_was_read_before_the_engine_restarted() {
    let rig = rig().await;
    let (web, db) = (Victim("web"), Victim("db"));
    web.runs(&rig);
    db.runs(&rig);
    let program = rig.start().await;
    rig.engine.asked(&db.id(), 1).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    web.dies(&rig);
    rig.engine.close();
    sees(&program, "web");
    let mut runs = vec![program.terminate()];
    db.dies(&rig);
    let program = rig.start().await;
    sees(&program, "db");
    runs.push(program.terminate());
    let program = rig.start().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    runs.push(program.terminate());
    assert_eq!(inferred(&runs), died(&["web", "db"]), "each once: {runs:#?}");
    assert_eq!(gaps(&runs), [], "nothing shows that more is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_state_directory_a_gap_is_compared_too() {
    let rig = rig().await;
    let web = Victim("web");
    web.runs(&rig);
    let streams = rig.engine.streams();
    let program = Program::start(&mut rig.command("none".as_ref()));
    rig.engine.subscribed(streams + 1).await;
    rig.engine.asked(&web.id(), 1).await;
    let before = container("start").name("before");
    rig.engine.send(&before);
    sees(&program, "before");
    rig.engine.forget();
    rig.engine.close();
    web.dies(&rig);
    program.output(|output| output.contains("inferred"));
    let runs = [program.terminate()];
    let [(from, _)] = gaps(&runs)[..] else { panic!("{runs:#?}") };
    assert_eq!((from, inferred(&runs)), (before.time_nanos(), died(&["web"])));
}
