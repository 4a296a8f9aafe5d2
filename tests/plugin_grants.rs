//! What a plugin may reach because its table of the configuration grants it, and that it reaches nothing beside that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use dockbell::config::grants::Dir;
use dockbell::config::{Config, Environment, PluginConfig};
use dockbell::plugin::{CallError, Filter};
use dockbell_tests::engine::container;
use dockbell_tests::guests::{Guest, event, load, wasi_filter};
use dockbell_tests::program::{Ended, Program, program};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

async fn accept(guest: &Guest, grant: impl FnOnce(&mut PluginConfig)) -> Result<bool, CallError> {
    Filter::start(load(&guest.component(), grant).unwrap()).await.unwrap().accept(&event()).await
}

/// What the filter answers as an error: the way in which these guests say what they have found.
async fn said(guest: &Guest, grant: impl FnOnce(&mut PluginConfig)) -> String {
    match accept(guest, grant).await {
        Err(CallError::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// A filter that says the variable at this place, `NAME` and value without anything between, and lets pass what has fewer.
fn environment(place: u32) -> Guest {
    let mut guest = wasi_filter(&[("cli/environment", "get-environment", "environment", "(param i32)")]);
    // The texts of one variable lie behind each other: the host writes the name, then the value.
    guest.accept(&format!(
        "(local $at i32)
         (call $environment (i32.const 32))
         (if (i32.le_u (i32.load (i32.const 36)) (i32.const {place})) (then (return (call $answer (i32.const 1)))))
         (local.set $at (i32.add (i32.load (i32.const 32)) (i32.const {})))
         (call $error (i32.load (local.get $at))
           (i32.add (i32.load offset=4 (local.get $at)) (i32.load offset=12 (local.get $at))))",
        place * 16
    ));
    guest
}

fn test_with(plugin: &Path, folder: &TempDir, set: &[&str], variables: &[(&str, &str)]) -> Ended {
    let events = folder.path().join("events.jsonl");
    fs::write(&events, container("die").name("web").line() + "\n").unwrap();
    let mut command = program(DOCKBELL);
    command.envs(variables.iter().copied()).args(["plugin", "test"]).arg(plugin).arg("--events").arg(&events);
    command.args(set.iter().flat_map(|set| ["--set", set]));
    Program::start(&mut command).ended()
}

#[test]
fn a_plugin_sees_the_variables_that_it_is_granted_and_no_other() {
    let folder = TempDir::new().unwrap();
    let variables = [("GREETING", "hello"), ("SECRET", "hunter2"), ("TZ", "UTC")];
    let path = folder.path().join("first.wasm");
    fs::write(&path, environment(0).component()).unwrap();

    let none = test_with(&path, &folder, &[], &variables);
    assert!(none.output.starts_with("     1  true  "), "{}{}", none.output, none.log);
    let one = test_with(&path, &folder, &["env = [\"GREETING\"]"], &variables);
    assert!(one.output.contains("with an error: GREETINGhello\n"), "{}", one.output);
    let missing = test_with(&path, &folder, &["env = [\"NOT_SET\"]"], &variables);
    assert!(missing.output.starts_with("     1  true  "), "{}", missing.output);
    assert!(missing.log.contains("the variable `NOT_SET` is granted, but not there"), "{}", missing.log);

    let path = folder.path().join("second.wasm");
    fs::write(&path, environment(1).component()).unwrap();
    let no_second = test_with(&path, &folder, &["env = [\"GREETING\"]"], &variables);
    assert!(no_second.output.starts_with("     1  true  "), "{}", no_second.output);
    let second = test_with(&path, &folder, &["env = [\"GREETING\", \"TZ\"]"], &variables);
    assert!(second.output.contains("with an error: TZUTC\n"), "{}", second.output);
}

const TYPES: &str = "filesystem/types";

/// A filter with the functions of files, and how it opens `path` in the first folder: `$open` leaves 0 at 32 and the file at
/// 36, or the number of the error there; -1 where there is no folder. `open` and `flags` are those of WASI.
fn files(path: &str, open: u32, flags: u32) -> Guest {
    let mut guest = wasi_filter(&[
        ("filesystem/preopens", "get-directories", "directories", "(param i32)"),
        (TYPES, "[method]descriptor.open-at", "open_at", "(param i32 i32 i32 i32 i32 i32 i32)"),
        (TYPES, "[method]descriptor.read", "read", "(param i32 i64 i64 i32)"),
        (TYPES, "[method]descriptor.write", "write", "(param i32 i32 i32 i64 i32)"),
    ]);
    let path = guest.text(path);
    guest.field(&format!(
        "(func $open
           (call $directories (i32.const 32))
           (if (i32.eqz (i32.load (i32.const 36))) (then
             (i32.store8 (i32.const 32) (i32.const 1)) (i32.store8 (i32.const 36) (i32.const 255)) (return)))
           (call $open_at (i32.load (i32.load (i32.const 32))) (i32.const 1) {path}
             (i32.const {open}) (i32.const {flags}) (i32.const 32)))"
    ));
    guest
}

/// Says what is in a file, or lets the event pass where it cannot be opened.
fn reading(path: &str) -> Guest {
    let mut guest = files(path, 0, 1);
    guest.accept(
        "(call $open)
         (if (i32.load8_u (i32.const 32)) (then (return (call $answer (i32.const 1)))))
         (call $read (i32.load (i32.const 36)) (i64.const 100) (i64.const 0) (i32.const 32))
         (if (i32.load8_u (i32.const 32)) (then (unreachable)))
         (call $error (i32.load (i32.const 36)) (i32.load (i32.const 40)))",
    );
    guest
}

/// Makes a file and writes `new` into it; lets the event pass where it is not allowed to.
fn writing(path: &str) -> Guest {
    let mut guest = files(path, 1, 3);
    let new = guest.text("new");
    guest.accept(&format!(
        "(call $open)
         (if (i32.load8_u (i32.const 32)) (then (return (call $answer (i32.const 1)))))
         (call $write (i32.load (i32.const 36)) {new} (i64.const 0) (i32.const 32))
         (call $answer (i32.load8_u (i32.const 32)))"
    ));
    guest
}

/// A folder with a file, a folder beside it, and a link to that.
fn shelf() -> TempDir {
    let shelf = TempDir::new().unwrap();
    fs::create_dir_all(shelf.path().join("granted/below")).unwrap();
    fs::write(shelf.path().join("granted/file"), "content").unwrap();
    fs::write(shelf.path().join("granted/below/file"), "deeper").unwrap();
    fs::write(shelf.path().join("other"), "hidden").unwrap();
    symlink("../other", shelf.path().join("granted/link")).unwrap();
    symlink("file", shelf.path().join("granted/inside")).unwrap();
    shelf
}

fn grant(shelf: &TempDir, write: bool) -> impl Fn(&mut PluginConfig) {
    let dir = Dir { host: shelf.path().join("granted"), guest: "/data".to_owned(), write };
    move |config| config.grants.dirs = vec![dir.clone()]
}

#[tokio::test]
async fn a_plugin_reads_the_folders_that_it_is_granted_and_nothing_beside_them() {
    let shelf = shelf();
    assert_eq!(said(&reading("file"), grant(&shelf, false)).await, "content");
    assert_eq!(said(&reading("below/file"), grant(&shelf, false)).await, "deeper");
    assert_eq!(said(&reading("inside"), grant(&shelf, false)).await, "content");
    let other = shelf.path().join("other").to_string_lossy().into_owned();
    for outside in ["../other", "below/../../other", "link", "/etc/passwd", &other, "nothing"] {
        assert_eq!(accept(&reading(outside), grant(&shelf, false)).await, Ok(true), "{outside}");
        assert_eq!(accept(&reading(outside), grant(&shelf, true)).await, Ok(true), "{outside}");
    }
    assert_eq!(accept(&reading("file"), |_| {}).await, Ok(true), "without a grant there is no folder");
}

#[tokio::test]
async fn a_plugin_writes_only_where_that_is_granted_too() {
    let shelf = shelf();
    for path in ["file", "made", "below/made", "../made", "link"] {
        assert_eq!(accept(&writing(path), grant(&shelf, false)).await, Ok(true), "{path}");
    }
    assert_eq!(fs::read_to_string(shelf.path().join("granted/file")).unwrap(), "content");
    assert_eq!(fs::read_to_string(shelf.path().join("other")).unwrap(), "hidden");
    assert_eq!(fs::read_dir(shelf.path().join("granted")).unwrap().count(), 4, "nothing was made");

    assert_eq!(accept(&writing("made"), grant(&shelf, true)).await, Ok(false));
    assert_eq!(fs::read_to_string(shelf.path().join("granted/made")).unwrap(), "new");
    for path in ["../made", "link"] {
        assert_eq!(accept(&writing(path), grant(&shelf, true)).await, Ok(true), "{path}");
    }
    assert_eq!(fs::read_to_string(shelf.path().join("other")).unwrap(), "hidden");
    assert!(!shelf.path().join("made").exists());
}

#[tokio::test]
async fn a_grant_opens_nothing_but_itself() {
    let shelf = shelf();
    let mut socket = wasi_filter(&[("sockets/tcp-create-socket", "create-tcp-socket", "socket", "(param i32 i32)")]);
    // 1: access-denied.
    socket.accept(
        "(call $socket (i32.const 0) (i32.const 32))
         (call $answer (i32.and (i32.load8_u (i32.const 32)) (i32.eq (i32.const 1) (i32.load8_u (i32.const 36)))))",
    );
    let all = |config: &mut PluginConfig| {
        grant(&shelf, true)(config);
        config.grants.state = Some("1 KiB".parse().unwrap());
    };
    assert_eq!(accept(&socket, all).await, Ok(true));
    assert_eq!(accept(&environment(0), all).await, Ok(true), "no variable");
    assert_eq!(accept(&reading("file"), |config| config.grants.env = vec!["PATH".parse().unwrap()]).await, Ok(true));
}

#[tokio::test]
async fn a_folder_that_is_gone_is_told_at_the_next_start_of_the_plugin() {
    let shelf = shelf();
    let mut trap = reading("file");
    trap.accept("unreachable");
    let mut filter = Filter::start(load(&trap.component(), grant(&shelf, false)).unwrap()).await.unwrap();
    assert!(matches!(filter.accept(&event()).await, Err(CallError::Trapped(_))));
    fs::rename(shelf.path().join("granted"), shelf.path().join("moved")).unwrap();
    let error = filter.accept(&event()).await.unwrap_err();
    assert_eq!(error.reason(), "grant");
    assert!(error.to_string().contains("what it is granted is not there: the folder `/"), "{error}");
    fs::rename(shelf.path().join("moved"), shelf.path().join("granted")).unwrap();
    assert!(matches!(filter.accept(&event()).await, Err(CallError::Trapped(_))), "it is back");
}

#[test]
fn grants_are_shown_as_they_stand_in_the_configuration() {
    let shelf = shelf();
    let text = format!(
        "[plugins.mine]\ncomponent = \"match\"\nenv = [\"TZ\", \"LANG\"]\n\
         dirs = [{{ host = \"granted\", guest = \"/data\" }}, {{ host = \"{}\", guest = \"/w\", write = true }}]\n\
         state = \"64KiB\"\n\
         http = [\"https://API.example.com/\", {{ url = \"http://calendar:8080\", private = true }}]\n[routes.default]\nfilters = [\"mine\"]\n",
        shelf.path().display()
    );
    let file = shelf.path().join("dockbell.toml");
    fs::write(&file, &text).unwrap();
    let parse =
        |text: &str| Config::parse(&file, text, &Environment::default()).unwrap().plugins["mine"].grants.clone();
    let grants = parse(&text);
    let lines = grants.lines();
    assert_eq!(lines[0], "env = [\"TZ\", \"LANG\"]");
    assert!(lines[1].ends_with(", guest = \"/w\", write = true }]"), "{}", lines[1]);
    assert_eq!(lines[2], "state = \"64 KiB\"");
    let http = "http = [\"https://api.example.com\", { url = \"http://calendar:8080\", private = true }]";
    assert_eq!(lines[3], http);
    let again = format!("[plugins.mine]\ncomponent = \"match\"\n{}\n", lines.join("\n"));
    assert_eq!(parse(&again), grants, "what is shown can be read");

    let run = |args: &[&str]| Program::start(program(DOCKBELL).args(args).arg(&file)).ended().output;
    let check = run(&["check", "--config"]);
    let inspect = run(&["plugin", "inspect", "mine", "--from"]);
    for line in &lines {
        assert!(check.contains(&format!("granted {line}")), "{check}");
        assert!(inspect.contains(line), "{inspect}");
    }
}

fn state_guest() -> Vec<u8> {
    let mut guest = Guest::filter();
    let interface = "dockbell:plugin/state@0.1.0";
    guest
        .import(interface, &format!("(func $remove (import \"{interface}\" \"remove\") (param i32 i32) (result i32))"));
    let key = guest.text("key");
    guest.accept(&format!("(call $answer (i32.eqz (call $remove {key})))"));
    guest.component()
}

#[test]
fn a_plugin_that_needs_what_it_is_not_granted_is_refused_with_the_line_to_add() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dockbell.toml");
    fs::write(folder.path().join("my.wasm"), state_guest()).unwrap();
    let table = "[plugins.mine]\ncomponent = \"my.wasm\"\n";
    let routes = "[routes.default]\nfilters = [\"mine\"]\n";
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/recordings/shop.jsonl");
    let run = |command: &mut Command| Program::start(command.arg("--config").arg(&file)).ended();
    let said = |ended: &Ended| format!("{}{}", ended.output, ended.log);

    fs::write(&file, format!("{table}{routes}")).unwrap();
    let refused = run(program(DOCKBELL).arg("replay").arg(&recording));
    assert_eq!(refused.status.code(), Some(1));
    let place = format!("add to `[plugins.mine]` in `{}`: ", file.display());
    assert!(
        refused.log.contains("plugin `mine` needs what it is not granted: it imports `dockbell:plugin/state@0.1.0`"),
        "{}",
        refused.log
    );
    let line = refused.log.split(&place).nth(1).unwrap_or_else(|| panic!("{}", refused.log)).lines().next().unwrap();
    assert!(said(&run(program(DOCKBELL).arg("check"))).contains(line));
    let inspect =
        Program::start(program(DOCKBELL).args(["plugin", "inspect"]).arg(folder.path().join("my.wasm"))).ended();
    assert_eq!(inspect.status.code(), Some(1));
    assert!(
        inspect.output.contains(&format!("to keep data across restarts: not granted; add {line}")),
        "{}",
        inspect.output
    );

    fs::write(&file, format!("{table}{line}\n{routes}")).unwrap();
    let granted = run(program(DOCKBELL).arg("replay").arg(&recording));
    assert_eq!(granted.status.code(), Some(0), "{}", said(&granted));
}
