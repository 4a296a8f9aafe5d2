//! A component, damaged: it is refused with a reason, or it runs and its calls end. The loader never panics or hangs.
#![no_main]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, Once};
use std::time::Duration;

use dockbell::config::PluginConfig;
use dockbell::event::Event;
use dockbell::message::{Batch, Phase};
use dockbell::plugin::{Filter, Formatter, Role, Runtime};
use libfuzzer_sys::fuzz_target;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static TOKIO: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
/// A plugin is read from a file.
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("dockbell-fuzz-{}.wasm", std::process::id())));

/// What the last panic said. The loader catches those of the encoder of core modules, which are no failure.
static PANIC: Mutex<String> = Mutex::new(String::new());
/// libFuzzer would end at any panic, also at one that is caught.
static HOOK: Once = Once::new();

fuzz_target!(|input: &[u8]| {
    HOOK.call_once(|| {
        set_hook(Box::new(|panic| *PANIC.lock().unwrap_or_else(|poison| poison.into_inner()) = panic.to_string()));
    });
    if catch_unwind(AssertUnwindSafe(|| load(input))).is_err() {
        eprintln!("{}", PANIC.lock().unwrap_or_else(|poison| poison.into_inner()));
        std::process::abort();
    }
});

fn load(input: &[u8]) {
    fs::write(&*FILE, input).unwrap();
    let mut config = PluginConfig::new(&FILE.to_string_lossy());
    config.timeout = Duration::from_millis(40);
    config.memory = 4 << 20;
    let plugin = match RUNTIME.load("fuzzed", &config) {
        Ok(plugin) => plugin,
        Err(refused) => {
            let message = refused.to_string();
            assert!(message.contains("plugin `fuzzed`") && message.contains("\nhint: "), "{message}");
            return;
        }
    };
    TOKIO.block_on(async {
        for role in plugin.roles() {
            match role {
                Role::Filter => {
                    let Ok(mut filter) = Filter::start(plugin.clone()).await else { continue };
                    let _ = filter.accept(&Event::default()).await;
                }
                Role::Formatter => {
                    let Ok(mut formatter) = Formatter::start(plugin.clone()).await else { continue };
                    for made in formatter.format(&batch()).await.unwrap_or_default() {
                        assert!(!made.subject.is_empty() && !made.subject.contains(['\r', '\n']));
                        assert!(made.alternative("text/plain").is_some());
                    }
                }
            }
        }
    });
}

fn batch() -> Batch {
    Batch {
        route: "default".into(),
        group: String::new(),
        phase: Phase::First,
        total: 1,
        span_nanos: (0, 0),
        counts: vec![("container die".to_owned(), 1)],
        events: vec![Event::default().into()],
        notes: Vec::new(),
        between: String::new(),
    }
}
