//! The samples that people copy, as they stand: `examples/dockbell.toml`, and the configurations in README.md.

use std::fs;
use std::path::Path;

use dockbell::config::{Config, Environment};
use dockbell_tests::engine::ScriptedEngine;
use tempfile::TempDir;

use crate::run;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_annotated_example_passes_check_as_it_stands() {
    let engine = ScriptedEngine::unix().await;
    let example = format!("{ROOT}/examples/dockbell.toml");
    let ended = run(&["check", "--config", &example], |command| {
        command.env("DOCKER_HOST", engine.host());
    });
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    assert!(!ended.output.contains("warn") && ended.output.contains(&format!("`{example}`")), "{}", ended.output);
}

/// Its filter `trouble`, tried on the recording of the shop.
#[test]
fn the_filter_of_the_annotated_example_passes_trouble_and_its_end_and_nothing_else() {
    let example = read("examples/dockbell.toml");
    let config = example.lines().find_map(|line| line.strip_prefix("#config = ")).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("dockbell.toml");
    let text = format!(
        "[plugins.trouble]\ncomponent = \"match\"\nconfig = {config}\n\
         [routes.r]\nfilters = [\"trouble\"]\nformatter = \"plain\"\nsettle = \"0s\"\nwindow = \"0s\"\n"
    );
    fs::write(&path, text).unwrap();
    let recording = format!("{ROOT}/examples/recordings/shop.jsonl");
    let ended = run(&["replay", &recording, "--config", path.to_str().unwrap()], |_| {});
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    for told in ["die (exit 1, crashed", "health_status (unhealthy)", "health_status (healthy)", " start (restarts"] {
        assert!(ended.output.contains(told), "{told}: {}", ended.output);
    }
    for noise in [" create ", " destroy ", "finished", "exec_"] {
        assert!(!ended.output.contains(noise), "{noise}: {}", ended.output);
    }
}

/// Files that a sample names are put where it says, under a folder of the test.
#[test]
fn each_configuration_in_the_readme_loads_and_none_of_its_words_is_in_doubt() {
    let readme = read("README.md");
    let samples: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let samples: Vec<&str> = samples.into_iter().filter(|sample| !sample.contains("[package]")).collect();
    assert!(samples.len() >= 2, "{}", samples.len());
    for sample in samples {
        let folder = TempDir::new().unwrap();
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        for (name, secret) in [
            ("smtp-password", "hunter2"),
            ("chat", "ntfys://ntfy.example.com/hunter2"),
            ("hook", "https://hooks.example.com/hunter2"),
            ("hook-signing", "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="),
        ] {
            fs::write(secrets.join(name), secret).unwrap();
        }
        fs::create_dir(folder.path().join("calendars")).unwrap();
        let text = sample.replace("/run/secrets", secrets.to_str().unwrap());
        let path = folder.path().join("dockbell.toml");
        fs::write(&path, &text).unwrap();
        let environment = Environment::from_iter([("DOCKER_HOST", "unix:///run/docker.sock")]);
        let config = Config::load(Some(&path), &environment).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let doubts: Vec<&String> =
            config.warnings.iter().filter(|warning| !warning.starts_with("no route uses plugin")).collect();
        assert!(doubts.is_empty(), "{doubts:?}");
        // The plugins accept their tables, too.
        if !text.contains(".wasm\"") {
            let recording = format!("{ROOT}/examples/recordings/shop.jsonl");
            let ended = run(&["replay", &recording, "--config", path.to_str().unwrap()], |_| {});
            assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
            assert!(ended.output.contains("crashed (exit 1)"), "{}", ended.output);
        }
    }
}
