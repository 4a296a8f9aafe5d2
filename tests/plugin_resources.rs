//! What plugins hold in the host beside their own memory: open files, listings, requests and their bodies. All of it is
//! counted, refused where it is too much, and named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockbell::config::PluginConfig;
use dockbell::config::grants::Dir;
use dockbell::plugin::{CallError, Filter, Plugin, Runtime};
use dockbell_tests::engine::container;
use dockbell_tests::guests::{Guest, event, wasi_filter};
use dockbell_tests::program::{Program, program};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Resource, getrlimit};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Cases of `error-code`, as the guests say them.
const QUOTA: char = '6';
const NO_ROOM: char = 'F';
const NOT_PERMITTED: char = 'O';

/// A filter that repeats this in the first of its folders, `$dir`, until it fails (byte 32 is not 0) or was done 1,000 times;
/// then it answers with an error of four letters: how often it was done, and the case of the error.
fn repeating(prepare: impl Fn(&mut Guest) -> [String; 2]) -> Guest {
    let types = "filesystem/types";
    let mut guest = wasi_filter(&[
        ("filesystem/preopens", "get-directories", "directories", "(param i32)"),
        (types, "[method]descriptor.open-at", "open_at", "(param i32 i32 i32 i32 i32 i32 i32)"),
        (types, "[method]descriptor.read-via-stream", "stream", "(param i32 i64 i32)"),
        (types, "[method]descriptor.read-directory", "listing", "(param i32 i32)"),
    ]);
    guest.field(
        "(func $digit (param $at i32) (param $number i32)
           (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10)))))
         (func $say (param $done i32) (param $code i32) (result i32)
           (call $digit (i32.const 200) (i32.div_u (local.get $done) (i32.const 100)))
           (call $digit (i32.const 201) (i32.div_u (local.get $done) (i32.const 10)))
           (call $digit (i32.const 202) (local.get $done))
           (i32.store8 (i32.const 203) (i32.add (i32.const 48) (local.get $code)))
           (call $error (i32.const 200) (i32.const 4)))",
    );
    let [before, again] = prepare(&mut guest);
    guest.accept(&format!(
        "(local $dir i32) (local $file i32) (local $done i32)
         (call $directories (i32.const 32))
         (local.set $dir (i32.load (i32.load (i32.const 32))))
         {before}
         (loop $again
           {again}
           (if (i32.eqz (i32.load8_u (i32.const 32))) (then
             (local.set $done (i32.add (local.get $done) (i32.const 1)))
             (br_if $again (i32.lt_u (local.get $done) (i32.const 1000))))))
         (call $say (local.get $done) (i32.load8_u (i32.const 36)))"
    ));
    guest
}

/// Opens a file again and again.
fn opening(path: &str) -> Guest {
    repeating(|guest| [String::new(), open(guest, path)])
}

fn open(guest: &mut Guest, path: &str) -> String {
    let path = guest.text(path);
    format!("(call $open_at (local.get $dir) (i32.const 1) {path} (i32.const 0) (i32.const 1) (i32.const 32))")
}

/// Opens a file once and makes streams of it.
fn streaming(path: &str) -> Guest {
    repeating(|guest| {
        let open = open(guest, path);
        let stream = "(call $stream (local.get $file) (i64.const 0) (i32.const 32))";
        [format!("{open} (local.set $file (i32.load (i32.const 36)))"), stream.to_owned()]
    })
}

/// Lists the folder again and again.
fn listing() -> Guest {
    repeating(|_| [String::new(), "(call $listing (local.get $dir) (i32.const 32))".to_owned()])
}

/// Loads a filter that is granted a folder.
fn plugin(runtime: &Runtime, guest: &Guest, folder: &Path, memory: usize) -> Arc<Plugin> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), guest.component()).unwrap();
    let mut config = PluginConfig::new(&file.path().to_string_lossy());
    config.grants.dirs = vec![Dir { host: folder.to_owned(), guest: "/data".to_owned(), write: false }];
    config.timeout = Duration::from_secs(30);
    config.memory = memory;
    runtime.load("guest", &config).unwrap()
}

async fn said(filter: &mut Filter) -> String {
    match filter.accept(&event()).await {
        Err(CallError::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn shelf() -> TempDir {
    let shelf = TempDir::new().unwrap();
    fs::write(shelf.path().join("file"), "content").unwrap();
    shelf
}

#[tokio::test]
async fn a_plugin_has_so_many_files_open_and_no_more() {
    let (runtime, shelf) = (Runtime::new().unwrap(), shelf());
    let mut filter = Filter::start(plugin(&runtime, &opening("file"), shelf.path(), 8 << 20)).await.unwrap();
    let before = fs::read_dir("/proc/self/fd").unwrap().count();
    assert_eq!(said(&mut filter).await, format!("064{QUOTA}"));
    let open = fs::read_dir("/proc/self/fd").unwrap().count() - before;
    // Other tests of this process open some, too.
    assert!(open < 400, "{open} files are open");
    assert_eq!(said(&mut filter).await, format!("000{QUOTA}"), "the guest still holds them");
}

#[tokio::test]
async fn streams_of_one_file_count_as_files_do() {
    let (runtime, shelf) = (Runtime::new().unwrap(), shelf());
    let mut filter = Filter::start(plugin(&runtime, &streaming("file"), shelf.path(), 8 << 20)).await.unwrap();
    assert_eq!(said(&mut filter).await, format!("063{QUOTA}"));
}

#[tokio::test]
async fn all_plugins_together_leave_files_for_the_rest_of_the_program() {
    let (runtime, shelf) = (Runtime::new().unwrap(), shelf());
    let plugin = plugin(&runtime, &opening("file"), shelf.path(), 8 << 20);
    let quarter = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |files| files / 4);
    let (mut filters, mut open) = (Vec::new(), 0);
    for _ in 0..6 {
        let mut filter = Filter::start(Arc::clone(&plugin)).await.unwrap();
        open += said(&mut filter).await[..3].parse::<u64>().unwrap();
        filters.push(filter);
    }
    assert_eq!(open, quarter.min(256));
    filters.remove(0);
    let mut filter = Filter::start(plugin).await.unwrap();
    assert_eq!(said(&mut filter).await, format!("064{QUOTA}"), "what was given back can be opened");
}

#[tokio::test]
async fn only_files_and_folders_are_opened() {
    let (runtime, shelf) = (Runtime::new().unwrap(), shelf());
    mknodat(CWD, shelf.path().join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(shelf.path().join("socket")).unwrap();
    for (folder, path) in [(shelf.path(), "pipe"), (shelf.path(), "socket"), (Path::new("/dev"), "null")] {
        let mut filter = Filter::start(plugin(&runtime, &opening(path), folder, 8 << 20)).await.unwrap();
        assert_eq!(said(&mut filter).await, format!("000{NOT_PERMITTED}"), "{path}");
    }
}

#[tokio::test]
async fn a_listing_counts_towards_the_memory() {
    let (runtime, shelf) = (Runtime::new().unwrap(), TempDir::new().unwrap());
    for number in 0..5_000 {
        fs::write(shelf.path().join(format!("a file of some length, number {number:05}")), "").unwrap();
    }
    // An entry takes 128 bytes and its name.
    let mut filter = Filter::start(plugin(&runtime, &listing(), shelf.path(), 4 << 20)).await.unwrap();
    assert_eq!(said(&mut filter).await, format!("004{NO_ROOM}"));
    let mut filter = Filter::start(plugin(&runtime, &listing(), shelf.path(), 640 << 10)).await.unwrap();
    assert_eq!(said(&mut filter).await, format!("000{NO_ROOM}"));
}

/// Makes requests and writes into their bodies as much as is taken at once, without end.
fn hoarding() -> Guest {
    let types = "http/types";
    let mut guest = wasi_filter(&[
        (types, "[constructor]fields", "fields", "(result i32)"),
        (types, "[constructor]outgoing-request", "request", "(param i32) (result i32)"),
        (types, "[method]outgoing-request.body", "body", "(param i32 i32)"),
        (types, "[method]outgoing-body.write", "write", "(param i32 i32)"),
        ("io/streams", "[method]output-stream.check-write", "check", "(param i32 i32)"),
        ("io/streams", "[method]output-stream.write", "put", "(param i32 i32 i32 i32)"),
    ]);
    guest.accept(
        "(local $out i32)
         (drop (memory.grow (i32.const 20)))
         (loop $again
           (call $body (call $request (call $fields)) (i32.const 32))
           (call $write (i32.load (i32.const 36)) (i32.const 32))
           (local.set $out (i32.load (i32.const 36)))
           (call $check (local.get $out) (i32.const 32))
           (call $put (local.get $out) (i32.const 65536) (i32.load (i32.const 40)) (i32.const 32))
           (br $again))
         unreachable",
    );
    guest
}

#[tokio::test]
async fn bodies_that_are_never_sent_are_small_and_counted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), hoarding().component()).unwrap();
    let mut config = PluginConfig::new(&file.path().to_string_lossy());
    config.grants.http = Some(Vec::new());
    config.memory = 4 << 20;
    config.timeout = Duration::from_secs(30);
    let runtime = Runtime::new().unwrap();
    let mut filter = Filter::start(runtime.load("guest", &config).unwrap()).await.unwrap();
    let before = peak();
    let error = filter.accept(&event()).await.unwrap_err();
    let (text, grown) = (error.to_string(), peak() - before);
    assert!(text.starts_with("it held more than 256 files, streams, requests"), "{text}");
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
}

/// The most memory that this process had, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn the_log_names_the_plugin_and_the_limit() {
    let (folder, shelf) = (TempDir::new().unwrap(), shelf());
    let (plugin, events) = (folder.path().join("files.wasm"), folder.path().join("events"));
    fs::write(&plugin, opening("file").component()).unwrap();
    fs::write(&events, container("die").name("web").line()).unwrap();
    let grant = format!("dirs = [{{ host = \"{}\", guest = \"/data\" }}]", shelf.path().display());
    let mut command = program(DOCKBELL);
    command.args(["plugin", "test"]).arg(&plugin).arg("--events").arg(&events).args(["--set", &grant]);
    let ended = Program::start(&mut command).ended();
    let line = "it may not have more than 64 files and streams of files open at once";
    let line = ended.log.lines().find(|logged| logged.contains(line)).unwrap_or_else(|| panic!("{}", ended.log));
    assert!(line.contains("files"), "{line}");
}
