//! From nothing to a plugin that has judged recorded events, by what the READMEs say: their commands are run as they stand.
//!
//! `cargo xtask test` brings the toolchains and puts them on the path.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Who the filters of the templates tell of `events.jsonl`: containers that ended with an exit code of their own.
const FAILED: [&str; 3] =
    ["shop-worker-1 crashed (exit 1)", "shop-thumbnailer-1 out of memory", "shop-search-1 crashed (exit 139)"];

/// An author's machine: a folder with `dockbell` on the path.
struct Author(TempDir);

impl Author {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        symlink(DOCKBELL, folder.path().join("bin/dockbell")).unwrap();
        Self(folder)
    }

    /// Runs commands in a folder as a shell does, up to the first that fails.
    fn run(&self, folder: &Path, commands: &str) -> Output {
        let path = env::var_os("PATH").unwrap();
        let path = env::join_paths([self.0.path().join("bin")].into_iter().chain(env::split_paths(&path))).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-e", "-u", "-x", "-c", commands]).current_dir(folder).env("PATH", path);
        // Rust's own libraries, built once for all.
        shell.env("CARGO_TARGET_DIR", Path::new(ROOT).canonicalize().unwrap().join("target/plugins"));
        let output = shell.env("DOCKBELL_STATE", "none").output().unwrap();
        let said = || String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {}\n{}", folder.display(), output.status, said());
        output
    }

    /// Follows the README of a folder.
    fn follow(&self, folder: &Path) {
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let lines = readme.lines().count();
        assert!(lines <= 30, "{lines} lines: a README of a plugin is read whole, or not at all");
        let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let commands: String = blocks.collect();
        assert!(commands.contains("dockbell plugin build\n") && commands.contains("dockbell replay "), "{commands}");
        self.run(folder, &commands);
    }

    /// What a plugin made of a recording.
    fn replay(&self, folder: &Path, recording: &str) -> String {
        let output = self.run(folder, &format!("dockbell replay {recording} --config dockbell.toml"));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// `dockbell plugin new`, and then its README.
fn template(language: &str) {
    let author = Author::new();
    for kind in ["filter", "formatter"] {
        let name = format!("my-{language}-{kind}");
        author.run(author.0.path(), &format!("dockbell plugin new {name} --lang {language} --kind {kind}"));
        let folder = author.0.path().join(&name);
        author.follow(&folder);
        let told = author.replay(&folder, "events.jsonl");
        if kind == "filter" {
            let subjects: Vec<&str> =
                told.lines().filter_map(|line| Some(line.strip_prefix('[')?.split_once("] ")?.1)).collect();
            assert_eq!(subjects, FAILED, "{told}");
        } else {
            assert!(
                told.contains(
                    "\n3 events of default\nlocal shop-report-1 die\nlocal shop-worker-1 die\nlocal shop-worker-1 start\n"
                ),
                "{told}"
            );
        }
        has_no_wasi(&folder.join(name).with_extension("wasm"));
    }
}

/// The README of an example, and what it says is told of the recording.
fn example(language: &str, name: &str) {
    let author = Author::new();
    let folder = Path::new(ROOT).join("examples/plugins").join(language).canonicalize().unwrap();
    author.follow(&folder);
    let told = author.replay(&folder, "../../recordings/shop.jsonl");
    let expected = fs::read_to_string(folder.join("expected.txt")).unwrap();
    assert_eq!(told, expected);
    has_no_wasi(&folder.join(name).with_extension("wasm"));
}

/// The log is all that a plugin reaches.
fn has_no_wasi(component: &Path) {
    let bytes = fs::read(component).unwrap();
    let decoded = wit_component::decode(&bytes).unwrap();
    let resolve = decoded.resolve();
    let imports =
        resolve.worlds.iter().flat_map(|(_, world)| world.imports.keys()).map(|key| resolve.name_world_key(key));
    let foreign: Vec<String> = imports.filter(|import| !import.starts_with("dockbell:plugin/")).collect();
    assert!(foreign.is_empty(), "{}: {foreign:?}", component.display());
}

#[test]
fn a_new_plugin_in_rust_works_as_its_readme_says() {
    template("rust");
}

#[test]
fn a_new_plugin_in_c_works_as_its_readme_says() {
    template("c");
}

#[test]
fn a_new_plugin_in_zig_works_as_its_readme_says() {
    template("zig");
}

#[test]
fn a_new_plugin_in_go_works_as_its_readme_says() {
    template("go");
}

#[test]
fn a_plugin_in_go_may_have_a_name_that_go_keeps_for_itself() {
    let author = Author::new();
    let commands = "dockbell plugin new go --lang go; cd go; dockbell plugin build; go test ./...";
    author.run(author.0.path(), commands);
}

#[test]
fn the_audit_in_rust_tells_what_its_readme_says() {
    example("rust", "audit");
}

#[test]
fn the_names_in_c_tell_what_their_readme_says() {
    example("c", "allow-names");
}

#[test]
fn the_image_policy_in_zig_tells_what_its_readme_says() {
    example("zig", "image-policy");
}

#[test]
fn the_rate_limit_in_go_tells_what_its_readme_says() {
    example("go", "rate-limit");
}

#[test]
fn a_new_plugin_in_python_works_as_its_readme_says() {
    template("python");
}

#[test]
fn a_new_plugin_in_javascript_works_as_its_readme_says() {
    template("js");
}

#[test]
fn a_new_plugin_in_typescript_works_as_its_readme_says() {
    template("ts");
}

#[test]
fn the_on_call_calendar_in_python_tells_what_its_readme_says() {
    example("python", "on-call");
}

#[test]
fn the_markdown_in_javascript_tells_what_its_readme_says() {
    example("javascript", "markdown");
}

#[test]
fn the_slack_blocks_in_typescript_tell_what_their_readme_says() {
    example("typescript", "slack-blocks");
}
