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
use dockbell_tests::attacks::{hoards_bodies, hoards_files, open, repeats};
use dockbell_tests::engine::container;
use dockbell_tests::guests::{Guest, event};
use dockbell_tests::program::{Program, program};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Resource, getrlimit};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Cases of `error-code`, as the guests say them.
const QUOTA: char = '6';
const NO_ROOM: char = 'F';
const NOT_PERMITTED: char = 'O';

/// Opens a file once and makes streams of it.
fn streaming(path: &str) -> Guest {
    repeats(|guest| {
        let open = open(guest, path);
        let stream = "(call $stream (local.get $file) (i64.const 0) (i32.const 32))";
        [format!("{open} (local.set $file (i32.load (i32.const 36)))"), stream.to_owned()]
    })
}

/// Lists the folder again and again.
fn listing() -> Guest {
    repeats(|_| [String::new(), "(call $listing (local.get $dir) (i32.const 32))".to_owned()])
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
    let mut filter = Filter::start(plugin(&runtime, &hoards_files("file"), shelf.path(), 8 << 20)).await.unwrap();
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
    let plugin = plugin(&runtime, &hoards_files("file"), shelf.path(), 8 << 20);
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
        let mut filter = Filter::start(plugin(&runtime, &hoards_files(path), folder, 8 << 20)).await.unwrap();
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

#[tokio::test]
async fn bodies_that_are_never_sent_are_small_and_counted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), hoards_bodies().component()).unwrap();
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
    fs::write(&plugin, hoards_files("file").component()).unwrap();
    fs::write(&events, container("die").name("web").line()).unwrap();
    let grant = format!("dirs = [{{ host = \"{}\", guest = \"/data\" }}]", shelf.path().display());
    let mut command = program(DOCKBELL);
    command.args(["plugin", "test"]).arg(&plugin).arg("--events").arg(&events).args(["--set", &grant]);
    let ended = Program::start(&mut command).ended();
    let line = "it may not have more than 64 files and streams of files open at once";
    let line = ended.log.lines().find(|logged| logged.contains(line)).unwrap_or_else(|| panic!("{}", ended.log));
    assert!(line.contains("files"), "{line}");
}
