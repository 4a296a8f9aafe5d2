//! What `dockbell plugin build` says where the tools of a language are missing or fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use dockbell_tests::program::program;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// The folder of a new plugin.
fn new(language: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(DOCKBELL);
    command.args(["plugin", "new", "mine", "--lang", language, "--dir"]).arg(folder.path().join("mine"));
    assert!(command.status().unwrap().success());
    folder
}

/// A program in `bin` beside the plugin's folder: a shell script.
fn tool(folder: &TempDir, path: &str, script: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// How `plugin build` fails where the `PATH` holds nothing but `bin`.
fn refused(folder: &TempDir, environment: &[(&str, &Path)]) -> String {
    let mut command: Command = program(DOCKBELL);
    command.args(["plugin", "build"]).current_dir(folder.path().join("mine"));
    command.env("PATH", folder.path().join("bin")).envs(environment.iter().copied());
    let ended = command.output().unwrap();
    assert!(!ended.status.success());
    String::from_utf8(ended.stderr).unwrap()
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn without_componentize_py_it_says_how_to_install_it() {
    let folder = new("python");
    let install = "\nhint: `python3 -m venv .venv && .venv/bin/pip install --requirement requirements.txt` in `";
    assert_says(&refused(&folder, &[]), &["`componentize-py`", "not there", install]);
    fs::remove_file(folder.path().join("mine/requirements.txt")).unwrap();
    assert_says(&refused(&folder, &[]), &[".venv/bin/pip install componentize-py` in `"]);
}

#[test]
fn componentize_py_is_found_in_the_folder_in_the_active_environment_and_on_the_path() {
    let folder = new("python");
    let active = folder.path().join("active");
    // What is found last comes first here, so that each must win against those before it.
    for (path, name) in [("bin", "path"), ("active/bin", "active"), (".venv/bin", "above"), ("mine/.venv/bin", "own")] {
        tool(&folder, &format!("{path}/componentize-py"), &format!("echo it is {name} $VIRTUAL_ENV >&2; exit 1"));
        let said = refused(&folder, &[("VIRTUAL_ENV", &active)]);
        assert_says(&said, &[&format!("it is {name}"), "componentize-py --quiet", "failed"]);
    }
    fs::write(folder.path().join("mine/.venv/pyvenv.cfg"), "").unwrap();
    let said = refused(&folder, &[]);
    let own = folder.path().join("mine/.venv").canonicalize().unwrap();
    assert_says(&said, &[&format!("it is own {}", own.display())]);
}

#[test]
fn without_node_it_says_what_to_install() {
    for language in ["js", "ts"] {
        assert_says(&refused(&new(language), &[]), &["`node`", "\nhint: install Node.js 20 or newer, with npm"]);
    }
}

#[test]
fn without_its_npm_packages_it_says_how_to_install_them() {
    for (language, package) in [("js", "componentize-qjs"), ("ts", "esbuild")] {
        let folder = new(language);
        tool(&folder, "bin/node", "");
        let said = refused(&folder, &[]);
        assert_says(&said, &[&format!("`{package}` is not there"), "\nhint: `npm install` in `"]);
        fs::write(folder.path().join("mine/package.json"), "{}").unwrap();
        assert_says(&refused(&folder, &[]), &[&format!("\nhint: `npm install --save-dev {package}` in `")]);
    }
}

#[test]
fn npm_packages_are_found_in_the_folder_above_it_and_on_the_path() {
    let folder = new("js");
    tool(&folder, "bin/node", "");
    for (path, name) in [("bin", "path"), ("node_modules/.bin", "above"), ("mine/node_modules/.bin", "own")] {
        tool(&folder, &format!("{path}/componentize-qjs"), &format!("echo it is {name} >&2; exit 1"));
        assert_says(&refused(&folder, &[]), &[&format!("it is {name}"), "failed"]);
    }
}
