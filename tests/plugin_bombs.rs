//! Components that are made to cost much: they are run or refused, and end at a limit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dockbell::config::PluginConfig;
use dockbell::plugin::{CompileLimits, Compiler, Filter, Plugin, Runtime};
use dockbell_tests::guests::{Guest, event};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

fn compiled(component: &[u8], limits: CompileLimits) -> Result<Arc<Plugin>, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), component).unwrap();
    let compiler = Compiler::Child { program: DOCKBELL.into(), limits };
    let config = PluginConfig::new(&file.path().to_string_lossy());
    Runtime::with(compiler, None).unwrap().load("guest", &config).map_err(|refused| refused.to_string())
}

/// A section of a component.
fn section(id: u8, content: &[u8], into: &mut Vec<u8>) {
    into.push(id);
    let mut length = content.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap();
        length >>= 7;
        into.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    into.extend_from_slice(content);
}

#[tokio::test]
async fn a_component_of_200_mb_is_run_or_refused_and_leaves_nothing_behind() {
    let resident = || {
        let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
    };
    let mut component = Guest::filter().component();
    // A custom section with the name `x`.
    let mut padding = vec![0; 200_000_000];
    padding[..2].copy_from_slice(b"\x01x");
    section(0, &padding, &mut component);
    drop(padding);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &component).unwrap();
    drop(component);
    let before = resident();
    let compiler = Compiler::Child { program: DOCKBELL.into(), limits: CompileLimits::default() };
    let mut config = PluginConfig::new(&file.path().to_string_lossy());
    config.timeout = Duration::from_secs(10);
    let plugin = Runtime::with(compiler, None).unwrap().load("guest", &config).unwrap();
    assert_eq!(Filter::start(plugin).await.unwrap().accept(&event()).await, Ok(true));
    let grown = resident().saturating_sub(before);
    assert!(grown < 64, "{grown} MiB were left behind");
}

#[test]
fn components_within_components_end_at_a_limit() {
    // 2,000 of them, one in the other.
    let empty = b"\0asm\x0d\0\x01\0";
    let mut nested = empty.to_vec();
    for _ in 0..2_000 {
        let mut outer = empty.to_vec();
        section(4, &nested, &mut outer);
        nested = outer;
    }
    let message = compiled(&nested, CompileLimits::default()).unwrap_err();
    assert!(message.contains("plugin `guest`") && message.contains("\nhint: "), "{message}");
}

#[test]
fn a_component_that_doubles_itself_thirty_times_ends_at_a_limit() {
    let mut text = "(component $root (core module $m (memory 1))
        (component $c0 (alias outer $root $m (core module $m)) (core instance (instantiate $m)))"
        .to_owned();
    for level in 1..=30 {
        let before = level - 1;
        let _ = writeln!(
            text,
            "(component $c{level} (alias outer $root $c{before} (component $x))
               (instance (instantiate $x)) (instance (instantiate $x)))"
        );
    }
    text.push_str("(instance (instantiate $c30)))");
    let limits = CompileLimits { memory: 512 << 20, time: Duration::from_secs(10) };
    let begun = Instant::now();
    let message = compiled(&wat::parse_str(&text).unwrap(), limits).unwrap_err();
    assert!(message.contains("plugin `guest`") && message.contains("\nhint: "), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    println!("after {:?}: {message}", begun.elapsed());
}
