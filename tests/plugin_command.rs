//! `dockbell plugin inspect`, `test` and `list`, as their user sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dockbell_tests::engine::container;
use dockbell_tests::guests::Guest;
use dockbell_tests::program::{Ended, Program, program};
use serde_json::Value;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// The program, with a cache that the tests share: to compile takes long in a debug build.
fn dockbell() -> Command {
    let mut command = program(DOCKBELL);
    command.env("DOCKBELL_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-command"));
    command
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn shop() -> String {
    repository("examples/recordings/shop.jsonl").to_string_lossy().into_owned()
}

fn plugin(args: &[&str]) -> Ended {
    Program::start(dockbell().arg("plugin").args(args)).ended()
}

/// Files of one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_string_lossy().into_owned()
    }
}

fn assert_works(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{}{}", ended.output, ended.log);
}

/// Fails with all of these in what it says, and does not panic.
fn assert_fails(ended: &Ended, with: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{}{}", ended.output, ended.log);
    let said = format!("{}{}", ended.output, ended.log);
    for with in with {
        assert!(said.contains(with), "`{with}` is not in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// A recording of containers with these names that die with exit code 3.
fn deaths(folder: &Folder, names: &[&str]) -> String {
    let line = |name: &&str| container("die").name(name).image("shop:1").attribute("exitCode", "3").line() + "\n";
    folder.file("events.jsonl", names.iter().map(line).collect::<String>())
}

/// A filter that says no to the second event, an error to the third, and ends itself at the fourth.
fn moody() -> Guest {
    let mut guest = Guest::filter();
    let sorry = guest.text("no idea");
    guest.field("(global $calls (mut i32) (i32.const 0))");
    guest.accept(&format!(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (if (i32.eq (global.get $calls) (i32.const 2)) (then (return (call $answer (i32.const 0)))))
         (if (i32.eq (global.get $calls) (i32.const 3)) (then (return (call $error {sorry}))))
         (if (i32.eq (global.get $calls) (i32.const 4)) (then unreachable))
         (call $answer (i32.const 1))"
    ));
    guest
}

#[test]
fn inspect_says_what_a_bundled_plugin_is_and_what_it_costs() {
    let ended = plugin(&["inspect", "match"]);
    assert_works(&ended);
    let sums = fs::read_to_string(repository("plugins/dist/SHA256SUMS")).unwrap();
    let sum = sums.lines().find(|line| line.ends_with(" match.wasm")).unwrap().split(' ').next().unwrap();
    let said = [
        "match, filter",
        "dockbell:plugin 0.1.0",
        "bytes, a component",
        sum,
        "dockbell:plugin/filter@0.1.0",
        "dockbell:plugin/setup@0.1.0",
        "take 64 MiB of memory, and 1.0 s a call",
        "compiled in",
        "started in",
        "KiB after the start",
        "a recorded event, `container die`",
    ];
    for said in said {
        assert!(ended.output.contains(said), "`{said}` is not in:\n{}", ended.output);
    }
}

#[test]
fn inspect_in_json_has_numbers() {
    let ended = plugin(&["inspect", "email", "--output", "json"]);
    assert_works(&ended);
    let said: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!((&said["roles"][0], &said["version"]), (&"formatter".into(), &"0.1.0".into()));
    assert_eq!(said["bytes"].as_u64().unwrap(), fs::metadata(repository("plugins/dist/email.wasm")).unwrap().len());
    assert!(said["compile_micros"].as_u64().unwrap() > 0);
    let run = &said["runs"][0];
    assert!(run["memory"].as_u64().unwrap() >= 64 << 10, "{said}");
    assert!(run["calls"].as_u64().unwrap() > 100 && run["median_micros"].as_f64().unwrap() > 0.0, "{said}");
    assert!(run["most_micros"].as_f64() >= run["median_micros"].as_f64(), "{said}");
}

#[test]
fn inspect_takes_a_core_module_and_a_component_that_is_both_kinds() {
    let folder = Folder::new();
    let module = folder.file("my-filter.wasm", Guest::filter().module());
    let ended = plugin(&["inspect", &module]);
    assert_works(&ended);
    assert!(ended.output.contains("my-filter, filter"), "{}", ended.output);
    assert!(ended.output.contains("a core module that carries its interface"), "{}", ended.output);

    let mut both = Guest::exporting(&["setup", "filter", "formatter"]);
    let (subject, text) = (both.text("hello"), both.text("world"));
    both.format(&format!("(call $message {subject} {text})"));
    let ended = plugin(&["inspect", &folder.file("both.wasm", both.component())]);
    assert_works(&ended);
    assert!(ended.output.contains("both, filter and formatter"), "{}", ended.output);
    assert!(ended.output.contains("started in") && ended.output.contains(", as a formatter"), "{}", ended.output);
}

#[test]
fn inspect_tells_what_a_plugin_wants_even_where_it_is_refused() {
    let folder = Folder::new();
    let mut greedy = Guest::filter();
    greedy.packages("package evil:root@1.0.0 { interface shell { run: func(); } }");
    greedy.import("evil:root/shell@1.0.0", "(func $run (import \"evil:root/shell@1.0.0\" \"run\"))");
    let ended = plugin(&["inspect", &folder.file("greedy.wasm", greedy.component())]);
    assert_fails(&ended, &["imports      evil:root/shell@1.0.0", "imports what dockbell does not offer", "hint: "]);

    let old = Guest::exporting(&["setup", "filter"]).version("0.9.0").component();
    let ended = plugin(&["inspect", &folder.file("old.wasm", old)]);
    assert_fails(&ended, &["dockbell:plugin 0.9.0", "was built for version 0.9.0", "hint: "]);

    let half = Guest::exporting(&["filter"]).component();
    let ended = plugin(&["inspect", &folder.file("half.wasm", half)]);
    assert_fails(&ended, &["lacks the export `dockbell:plugin/setup@0.1.0`"]);
}

#[test]
fn inspect_tells_of_plugins_that_do_not_run() {
    let folder = Folder::new();
    let trap = Guest::filter().accept("unreachable").component();
    let trap = folder.file("trap.wasm", trap);
    assert_fails(&plugin(&["inspect", &trap]), &["FAIL         filter with a recorded event", "it trapped"]);
    let ended = plugin(&["inspect", &trap, "--output", "json"]);
    assert_eq!(ended.status.code(), Some(1));
    let said: Value = serde_json::from_str(&ended.output).unwrap();
    assert!(said["runs"][0]["failed"].as_str().unwrap().contains("it trapped"), "{said}");

    let endless = Guest::filter().configure("(loop $again (br $again)) unreachable").component();
    let endless = folder.file("endless.wasm", endless);
    assert_fails(&plugin(&["inspect", &endless, "--set", "timeout = \"50ms\""]), &["it took longer than 50 ms"]);

    let ended = plugin(&["inspect", "match", "--config", r#"{"acton": "die"}"#]);
    assert_fails(&ended, &["refuses its configuration: acton", "did you mean `action`?"]);
}

#[test]
fn what_is_no_plugin_is_refused_with_a_reason() {
    let folder = Folder::new();
    for command in ["inspect", "test"] {
        let events = deaths(&folder, &["web"]);
        let run = |plugin_: &str| {
            let mut args = vec![command, plugin_];
            if command == "test" {
                args.extend(["--events", &events]);
            }
            plugin(&args)
        };
        assert_fails(
            &run("/nowhere/my.wasm"),
            &["cannot read `/nowhere/my.wasm`", "hint: ", "plugins: `match`, `email`, `json`\n"],
        );
        assert_fails(&run(&folder.file("text.wasm", "#!/bin/sh\n")), &["is not a WebAssembly component", "hint: "]);
        assert_fails(&run(&folder.file("empty.wasm", "")), &["the file is empty"]);
        assert_fails(&run(&folder.file("cut.wasm", &Guest::filter().component()[..200])), &["`cut`", "error: "]);
        assert_fails(&run(&folder.file("bare.wasm", Guest::filter().bare_module())), &["component-type"]);
        assert_fails(&run(&folder.0.path().to_string_lossy()), &["it is a folder"]);
        assert_fails(&run("mach"), &["there is no plugin `mach`", "`match`", "`./mach`"]);
    }
}

#[test]
fn what_is_no_configuration_is_refused_with_a_reason() {
    let folder = Folder::new();
    let run = |more: &[&str]| plugin(&[&["inspect", "match"], more].concat());
    assert_fails(&run(&["--config", "{"]), &["--config: the text is not JSON", "hint: such as"]);
    assert_fails(&run(&["--config", "[]"]), &["--config: the text is JSON, but no object"]);
    assert_fails(&run(&["--config", "@/nowhere.json"]), &["--config: cannot read `/nowhere.json`"]);
    let file = folder.file("config.json", "nonsense");
    assert_fails(&run(&["--config", &format!("@{file}")]), &["config.json` is not JSON"]);
    let file = folder.file("config.json", r#"{"action": "die"}"#);
    assert_works(&run(&["--config", &format!("@{file}")]));
    assert_fails(&run(&["--set", "memry = \"1MiB\""]), &["--set:3:1: plugins.match.memry: unknown key", "`memory`"]);
    assert_fails(&run(&["--set", "component = \"json\""]), &["duplicate key"]);
    assert_fails(&run(&["--set", "memory = 5"]), &["plugins.match.memory", "out of range"]);
    assert_fails(&run(&["--from", "/nowhere.toml"]), &["/nowhere.toml", "does not exist"]);
}

#[test]
fn a_name_is_that_of_the_configuration_file_with_its_table() {
    let folder = Folder::new();
    folder.file("my.wasm", moody().component());
    let file = folder.file(
        "dockbell.toml",
        "[plugins.mine]\ncomponent = \"my.wasm\"\n[plugins.trouble]\ncomponent = \"match\"\nconfig = { action = \"start\" }\n",
    );
    let events = deaths(&folder, &["web"]);
    let ended = plugin(&["test", "trouble", "--from", &file, "--events", &events]);
    assert_works(&ended);
    assert!(ended.output.starts_with("     1  false  "), "{}", ended.output);
    let ended = plugin(&["test", "mine", "--from", &file, "--events", &events]);
    assert!(ended.output.starts_with("     1  true  "), "{}{}", ended.output, ended.log);
    let ended = Program::start(dockbell().env("DOCKBELL_CONFIG", &file).args(["plugin", "inspect", "trouble"])).ended();
    assert_works(&ended);
    assert_fails(&plugin(&["inspect", "yours", "--from", &file]), &["there is no plugin `yours`", "`mine`, `trouble`"]);
}

#[test]
fn test_says_of_each_event_what_the_filter_said() {
    let folder = Folder::new();
    let moody = folder.file("moody.wasm", moody().component());
    let events = deaths(&folder, &["a", "b", "c", "d", "e"]);
    let ended = plugin(&["test", &moody, "--events", &events]);
    assert_fails(&ended, &["5 events: 2 passed, 2 calls failed", "started in", "a call (median)"]);
    let said: Vec<&str> = ended.output.lines().collect();
    assert_eq!(said.len(), 7, "{}", ended.output);
    for (line, begin) in said.iter().zip([
        "     1  true     ",
        "     2  false    ",
        "     3  error    ",
        "                 it answered with an error: no idea",
        "     4  trap     ",
        "                 it trapped: it aborted (`unreachable`)",
        "     5  true     ",
    ]) {
        assert!(line.starts_with(begin), "{line}");
    }
    assert!(said[0].contains("local a die (exit 3, crashed)"), "the facts of a route: {}", said[0]);

    let ended = plugin(&["test", &moody, "--events", &events, "--output", "json"]);
    let said: Vec<Value> = ended.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&said[0]["accept"], &said[1]["accept"]), (&true.into(), &false.into()));
    assert_eq!(said[3]["failed"]["reason"], "trap");
    assert_eq!(said[4]["event"]["who"], "e");
}

#[test]
fn test_gives_a_filter_the_facts_that_dockbell_adds() {
    let ended = plugin(&["test", "match", "--events", &shop(), "--config", r#"{"fact": {"cause": "crashed"}}"#]);
    assert_works(&ended);
    let (passed, others): (Vec<&str>, Vec<&str>) = ended.output.lines().partition(|line| line.contains("  true   "));
    assert_eq!(passed.len() + others.len(), fs::read_to_string(shop()).unwrap().lines().count());
    assert!(!passed.is_empty() && passed.iter().all(|line| line.contains("crashed")), "{passed:?}");
    assert!(others.iter().all(|line| !line.contains("crashed")), "{others:?}");
}

#[test]
fn test_shows_the_messages_that_a_formatter_makes_of_all_events() {
    let ended = plugin(&["test", "email", "--events", &shop(), "--config", r#"{"hostname": "shop"}"#]);
    assert_works(&ended);
    assert!(ended.output.starts_with("message 1\nsubject: [shop] 255 events: "), "{}", ended.output);
    assert!(ended.output.contains("--- text/plain\n") && ended.output.contains("--- text/html\n<"), "{}", ended.output);
    assert!(ended.log.contains("255 events: 255 passed, 1 message"), "{}", ended.log);

    let ended = plugin(&["test", "json", "--events", &shop(), "--output", "json"]);
    let said: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(said["alternatives"][0]["media-type"], "application/json");
    let told: Value = serde_json::from_str(said["alternatives"][0]["content"].as_str().unwrap()).unwrap();
    assert_eq!((&told["total"], &told["route"]), (&255.into(), &"test".into()));

    let folder = Folder::new();
    let silent =
        folder.file("silent.wasm", Guest::formatter().format("(call $list (i32.const 0) (i32.const 0))").component());
    assert_fails(
        &plugin(&["test", &silent, "--events", &shop()]),
        &["answer: its answer cannot be used: it made no message"],
    );
}

#[test]
fn what_was_printed_is_what_is_expected_the_next_time() {
    let folder = Folder::new();
    let events = deaths(&folder, &["web", "db"]);
    for (plugin_, output) in [("match", "text"), ("match", "json"), ("email", "text"), ("json", "json")] {
        let run = ["test", plugin_, "--events", &events, "--output", output];
        let said = plugin(&run);
        assert_works(&said);
        let expected = folder.file("expected", &said.output);
        let ended = plugin(&[&run[..], &["--expect", &expected]].concat());
        assert_works(&ended);
        assert_eq!(ended.output, "");
        assert!(ended.log.contains("as expected"), "{}", ended.log);
    }
    // Neither does the time zone of whoever runs it make a difference.
    let run = ["plugin", "test", "email", "--events", &events];
    let [here, there] = ["UTC", "Asia/Tokyo"].map(|zone| Program::start(dockbell().env("TZ", zone).args(run)).ended());
    assert_eq!(here.output, there.output);
}

#[test]
fn what_differs_from_what_is_expected_is_shown_and_fails() {
    let folder = Folder::new();
    let events = deaths(&folder, &["web", "db", "cache"]);
    let run = ["test", "match", "--events", &events];
    let expected = folder.file("expected", plugin(&run).output.replacen("  true ", "  false", 1));
    let ended = plugin(&[&run[..], &["--expect", &expected]].concat());
    assert_fails(&ended, &["--- expected\n+++ said\n", "-     1  false", "+     1  true ", "not as expected"]);
    assert_eq!(ended.output.lines().filter(|line| line.starts_with("-  ")).count(), 1, "{}", ended.output);

    let ended = plugin(&[&run[..], &["--expect", "/nowhere"]].concat());
    assert_fails(&ended, &["--expect: cannot read `/nowhere`", "hint: a run without `--expect`"]);

    // A plugin that is expected to fail is as expected when it does.
    let moody = folder.file("moody.wasm", moody().component());
    let said = plugin(&["test", &moody, "--events", &shop()]).output;
    let expected = folder.file("expected", said);
    assert_works(&plugin(&["test", &moody, "--events", &shop(), "--expect", &expected]));
}

#[test]
fn recordings_that_cannot_be_used_are_told() {
    let folder = Folder::new();
    let run = |events: &str| plugin(&["test", "match", "--events", events]);
    assert_fails(&run("/nowhere.jsonl"), &["cannot read `/nowhere.jsonl`"]);
    assert_fails(&run(&folder.0.path().to_string_lossy()), &["cannot read"]);
    assert_fails(&run(&folder.file("empty", "")), &["the recording holds no event", "hint: `docker events --format"]);
    assert_fails(&run(&folder.file("binary", [0xff, 0, 0xfe, b'\n', 3])), &["the recording holds no event"]);
    let events = deaths(&folder, &["web"]);
    let mixed = format!("{{\"Type\":\n{}{}\n", fs::read_to_string(&events).unwrap(), "x".repeat(2 << 20));
    let ended = run(&folder.file("mixed", mixed));
    assert_works(&ended);
    assert!(ended.log.contains("1 event: 1 passed, 2 unreadable lines"), "{}", ended.log);
}

#[test]
fn events_may_come_from_standard_input() {
    let folder = Folder::new();
    let events = fs::read(deaths(&folder, &["web", "db"])).unwrap();
    let mut command = dockbell();
    command.args(["plugin", "test", "match", "--events", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&events).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
}

#[test]
fn list_names_each_bundled_plugin_with_its_keys_and_each_example_is_taken() {
    let ended = plugin(&["list"]);
    assert_works(&ended);
    for said in ["match: A filter: ", "email: A formatter: ", "json: A formatter: ", "action = [\"die\", \"oom\"]"] {
        assert!(ended.output.contains(said), "`{said}` is not in:\n{}", ended.output);
    }
    let folder = Folder::new();
    let ended = plugin(&["list", "--output", "json"]);
    for line in ended.output.lines() {
        let listed: Value = serde_json::from_str(line).unwrap();
        let name = listed["name"].as_str().unwrap();
        let keys: Vec<&str> =
            listed["config"].as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap()).collect();
        for key in listed["config"].as_array().unwrap() {
            let example = format!("config.{}", key["example"].as_str().unwrap());
            let ended = plugin(&["test", name, "--events", &deaths(&folder, &["web"]), "--set", &example]);
            assert_works(&ended);
        }
        // The plugin itself names its keys when it is given another one.
        let ended = plugin(&["inspect", name, "--config", r#"{"no-such-key": 1}"#]);
        assert_fails(&ended, &["unknown key"]);
        let hint = ended.output.split("hint: ").nth(1).unwrap().lines().next().unwrap();
        let known: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
        assert_eq!(keys, known, "{name}");
    }
}
