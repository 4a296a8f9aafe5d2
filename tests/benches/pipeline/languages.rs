//! What filters cost in each language: those that `dockbell plugin new` makes, built with the compilers that are here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dockbell::config::{OnError, PluginConfig};
use dockbell::plugin::{CompileLimits, Compiler, Filter, Runtime};
use dockbell::route::filters::Guarded;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::stages::{parsed, route};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
/// What `--lang` takes, and the name for people.
const LANGUAGES: [(&str, &str); 7] = [
    ("rust", "Rust"),
    ("c", "C"),
    ("zig", "Zig"),
    ("go", "Go"),
    ("js", "JavaScript"),
    ("ts", "TypeScript"),
    ("python", "Python"),
];

/// A new filter in a language; `component` is none where its compiler is not here.
pub(crate) struct Built {
    pub(crate) language: &'static str,
    pub(crate) component: Option<PathBuf>,
}

/// New filters in all languages, built below `folder`.
pub(crate) fn build(folder: &Path) -> Vec<Built> {
    let build = |(lang, language): (&str, &'static str)| {
        let dockbell = |arguments: &[&str], below: &str| {
            let mut command = Command::new(DOCKBELL);
            command.args(arguments).current_dir(folder.join(below));
            // Rust's own libraries are built once for all benches.
            command.env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/plugins"));
            let output = command.output().unwrap();
            if !output.status.success() {
                eprintln!("{language}: {}", String::from_utf8_lossy(&output.stderr));
            }
            output.status.success()
        };
        let made = dockbell(&["plugin", "new", lang, "--lang", lang, "--kind", "filter"], "");
        let built = made && dockbell(&["plugin", "build"], lang);
        Built { language, component: built.then(|| folder.join(lang).join(format!("{lang}.wasm"))) }
    };
    LANGUAGES.map(build).into()
}

/// How long a route with this one filter takes for all lines, the median of five; the engine's events are parsed already.
pub(crate) async fn through_a_route(component: &Path, lines: &[Bytes]) -> Duration {
    let config = PluginConfig::new(&component.to_string_lossy());
    let plugin = Runtime::new().unwrap().load("measured", &config).unwrap();
    let mut route = route(Guarded::start(plugin, OnError::Pass).await.unwrap());
    let events: Vec<_> = parsed(lines).into_iter().map(Arc::new).collect();
    let received = Timestamp::now();
    let mut times = Vec::new();
    let mut seq = 0;
    for _ in 0..5 {
        let begin = Instant::now();
        for event in &events {
            seq += 1;
            route.take_one(seq, event, received).await;
        }
        times.push(begin.elapsed());
    }
    assert!(route.take_own_events().is_empty(), "the filter fails");
    median(times)
}

/// From the file of a component that was compiled before to a filter at work: the median of nine.
pub(crate) async fn second_start(component: &Path) -> Duration {
    let cache = TempDir::new().unwrap();
    let config = PluginConfig::new(&component.to_string_lossy());
    let mut times = Vec::new();
    for _ in 0..10 {
        let compiler = Compiler::Child { program: DOCKBELL.into(), limits: CompileLimits::default() };
        let runtime = Runtime::with(compiler, Some(cache.path())).unwrap();
        let begin = Instant::now();
        let filter = Filter::start(runtime.load("measured", &config).unwrap()).await.unwrap();
        times.push(begin.elapsed());
        drop(filter);
    }
    median(times.split_off(1))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Copies of a component that share nothing but their work, since each has other bytes.
pub(crate) fn copies(component: &Path, count: u8, folder: &Path) -> Vec<PathBuf> {
    let bytes = std::fs::read(component).unwrap();
    let copy = |number: u8| {
        let path = folder.join(format!("copy-{number}.wasm"));
        // A custom section whose name is one letter.
        let section = [0, 2, 1, b'a' + number];
        std::fs::write(&path, [&bytes[..], &section].concat()).unwrap();
        path
    };
    (0..count).map(copy).collect()
}
