//! Texts of plugins on a terminal: whatever a component names, says or answers, it steers nothing and hides nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use dockbell::text::is_hidden;
use dockbell_tests::guests::{Guest, load};
use dockbell_tests::program::{Program, program};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
/// Sets the title of a terminal, colours it by a single character, turns the text around and hides in it.
const HOSTILE: &str = "a\u{1b}]0;title\u{7}b\u{9b}31mc\u{202e}d\u{200b}e\u{e0041}f\rg";

/// All that a command says.
fn say(args: &[&str], plugin: &Path, more: &[&str]) -> String {
    let mut command = program(DOCKBELL);
    let ended = Program::start(command.args(args).arg(plugin).args(more)).ended();
    assert_ne!(ended.status.code(), None, "{}", ended.log);
    format!("{}{}", ended.output, ended.log)
}

#[track_caller]
fn assert_harmless(said: &str, wanted: &str) {
    assert!(said.contains(wanted), "{said:?}");
    let hidden = |c: char| is_hidden(c) || c == '\r';
    assert!(!said.contains(hidden), "{said:?}");
}

#[test]
fn names_in_a_component_cannot_steer_a_terminal() {
    let folder = TempDir::new().unwrap();
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/recordings/shop.jsonl");
    let events = recording.to_str().unwrap();
    let name: String = HOSTILE.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "\\{byte:02x}");
        all
    });
    for (component, wanted) in [
        (format!("(component (import \"url=<{name}>\" (func)))"), "url=<a\u{fffd}]0;title"),
        (format!("(component (component $c) (export \"{name}\" (component $c)))"), "a\u{fffd}]0;title"),
    ] {
        let plugin = folder.path().join("my.wasm");
        fs::write(&plugin, wat::parse_str(&component).unwrap()).unwrap();
        let file = folder.path().join("dockbell.toml");
        let text = "[plugins.mine]\ncomponent = \"my.wasm\"\n[routes.default]\nfilters = [\"mine\"]\n";
        fs::write(&file, text).unwrap();
        assert_harmless(&say(&["plugin", "inspect"], &plugin, &[]), wanted);
        assert_harmless(&say(&["plugin", "inspect", "--output", "json"], &plugin, &[]), "title");
        assert_harmless(&say(&["plugin", "test"], &plugin, &["--events", events]), "plugin `");
        assert_harmless(&say(&["check", "--config"], &file, &[]), "plugin `mine`");
        assert_harmless(&say(&["replay", events, "--config"], &file, &[]), "plugin `mine`");
    }
}

#[test]
fn what_a_plugin_says_cannot_steer_a_terminal() {
    let (folder, wanted) =
        (TempDir::new().unwrap(), "a\u{fffd}]0;title\u{fffd}b\u{fffd}31mc\u{fffd}d\u{fffd}e\u{fffd}f g");
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/recordings/shop.jsonl");
    let events = ["--events", recording.to_str().unwrap()];
    let write = |name: &str, guest: &Guest| {
        let path = folder.path().join(name);
        fs::write(&path, guest.component()).unwrap();
        path
    };

    let mut filter = Guest::filter();
    let text = filter.text(HOSTILE);
    filter.logging().accept(&format!("(call $log (i32.const 4) {text}) (call $error {text})"));
    let filter = write("filter.wasm", &filter);
    let said = say(&["plugin", "test"], &filter, &events);
    assert_harmless(&said, &format!("it answered with an error: {wanted}"));
    assert!(said.lines().any(|line| line.contains("WARN") && line.contains(wanted)), "{said}");
    assert_harmless(&say(&["plugin", "test", "--output", "json"], &filter, &events), wanted);

    let mut trap = Guest::filter();
    let text = trap.text(HOSTILE);
    trap.logging().accept(&format!("(call $log (i32.const 4) {text}) unreachable"));
    let said = say(&["plugin", "test"], &write("trap.wasm", &trap), &events);
    assert_harmless(&said, &format!("it aborted (`unreachable`); it said: {wanted}"));

    let mut refusing = Guest::filter();
    let text = refusing.text(HOSTILE);
    refusing.configure(&format!("(call $error {text})"));
    let refusing = write("refusing.wasm", &refusing);
    let refusal = format!("refuses its configuration: {wanted}");
    assert_harmless(&say(&["plugin", "test"], &refusing, &events), &refusal);
    assert_harmless(&say(&["plugin", "inspect"], &refusing, &[]), &refusal);
    assert_harmless(&say(&["plugin", "inspect", "--output", "json"], &refusing, &[]), &refusal);

    let mut formatter = Guest::formatter();
    let text = formatter.text(HOSTILE);
    formatter.format(&format!("(call $message {text} {text})"));
    let formatter = write("formatter.wasm", &formatter);
    assert_harmless(&say(&["plugin", "test"], &formatter, &events), &format!("subject: {wanted}"));
    let said = say(&["plugin", "test", "--output", "json"], &formatter, &events);
    assert_harmless(&said, "\\u202e");
}

#[test]
fn a_component_with_thousands_of_names_is_refused_in_a_few_words() {
    let all = |one: &str| (0..5_000).fold(String::new(), |all, number| all + &one.replace('#', &number.to_string()));
    let exports = all("(export \"export-#\" (component $c))");
    for component in [
        format!("(component (component $c) {exports})"),
        "(component".to_owned() + &all("(import \"i-#\" (func))") + ")",
    ] {
        let refused = load(&wat::parse_str(&component).unwrap(), |_| {}).unwrap_err().to_string();
        assert!(refused.len() < 2_000, "{}", refused.len());
    }
}
