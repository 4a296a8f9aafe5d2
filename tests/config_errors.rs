//! Each rejected configuration of `testdata/config` beside the message that a person gets for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use dockbell::config::{Config, Environment};

/// How many kinds of mistakes there are examples of; more may be added, none may go missing.
const KINDS: usize = 123;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config")
}

fn rejected() -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(testdata()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
}

/// What a person sees; without the folder, which is another one on every machine.
fn message(path: &Path) -> String {
    let error = Config::load(Some(path), &Environment::default()).expect_err(&path.display().to_string());
    let folder = format!("{}/", testdata().display());
    error.to_string().replace(&folder, "")
}

/// With `DOCKBELL_TESTS_REWRITE=1` the expected messages are written anew, to be read in the diff.
#[test]
fn each_mistake_is_told_with_its_place_and_a_hint() {
    let rewrite = std::env::var_os("DOCKBELL_TESTS_REWRITE").is_some();
    let mut wrong = Vec::new();
    for path in rejected() {
        let message = message(&path) + "\n";
        let expected = path.with_extension("stderr");
        if rewrite {
            fs::write(&expected, &message).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if message != expected {
            wrong.push(format!("{}\n--- expected\n{expected}--- got\n{message}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_an_example_of_each_kind_of_mistake() {
    assert!(rejected().len() >= KINDS, "only {} examples", rejected().len());
}

#[test]
fn no_message_shows_a_password() {
    for path in rejected() {
        let message = message(&path);
        assert!(!message.contains("hunter"), "{message}");
        assert!(!message.contains("123456"), "{message}");
    }
}

#[test]
fn every_message_has_a_hint() {
    let without: Vec<_> = rejected().into_iter().filter(|path| !message(path).contains("\nhint: ")).collect();
    assert!(without.is_empty(), "{without:#?}");
}

/// The annotated example with every key in force, beside the files that it names.
fn example_in_force(folder: &Path) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/dockbell.toml");
    let example = fs::read_to_string(example).unwrap();
    fs::create_dir(folder.join("on-call")).unwrap();
    fs::create_dir(folder.join("secrets")).unwrap();
    for (name, secret) in [
        ("smtp-password", "hunter2"),
        ("token", "hunter2"),
        ("hook", "https://hooks.example.com/hunter2"),
        ("hook-headers", "Authorization: Bearer hunter2"),
        ("hook-signing", "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="),
        ("chat", "ntfys://ntfy.example.com/hunter2"),
    ] {
        fs::write(folder.join("secrets").join(name), format!("{secret}\n")).unwrap();
    }
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => key.to_owned(),
        _ => line.to_owned(),
    };
    example.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_annotated_example_as_it_is_changes_nothing() {
    let environment = Environment::from_iter([("DOCKBELL_HOSTNAME", "web-1")]);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/dockbell.toml");
    let loaded = Config::load(Some(&example), &environment).unwrap();
    let default = Config::from_environment(&environment).unwrap();
    assert_eq!(format!("{loaded:#?}"), format!("{default:#?}"));
}

#[test]
fn the_annotated_example_with_every_key_in_force_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dockbell.toml");
    fs::write(&path, example_in_force(folder.path())).unwrap();
    let config = Config::load(Some(&path), &Environment::default()).unwrap_or_else(|error| panic!("{error}"));
    let keys = [config.engines.len(), config.plugins.len(), config.routes.len(), config.sinks.len()];
    assert_eq!(keys, [2, 8, 2, 7], "with the route and the filter of the fallback");
    let sinks = ["archive", "google", "hook", "office", "terminal"];
    let mut unused: Vec<String> = sinks.iter().map(|sink| format!("no route uses sink `{sink}`")).collect();
    unused.extend(["calendar", "night", "trouble"].map(|plugin| format!("no route uses plugin `{plugin}`")));
    assert_eq!(config.warnings, unused);
}

#[test]
fn the_annotated_example_names_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let example = example_in_force(folder.path());
    let hints = |text: &str| Config::parse(Path::new("x"), text, &Environment::default()).unwrap_err().to_string();
    let tables = ["", "[engines.x]", "[plugins.match]", "[routes.x]", "[sinks.x]\ntype = \"email\""];
    let more = ["stdout", "file", "webhook", "notify"].map(|kind| format!("[sinks.x]\ntype = \"{kind}\""));
    for table in tables.into_iter().chain(more.iter().map(String::as_str)) {
        let message = hints(&format!("{table}\nqqqqqq = 1"));
        let known = message.split("known keys: ").nth(1).expect(&message);
        for key in known.lines().next().unwrap().split(", ").map(|key| key.trim_matches('`')) {
            let twin = format!("{key}-file");
            let named = [key, &twin, key.trim_end_matches("-file")]
                .iter()
                .any(|key| example.contains(&format!("\n{key} = ")) || example.contains(&format!("\n[{key}.")));
            assert!(named, "`{key}` of `{table}` is not in the example");
        }
    }
}
