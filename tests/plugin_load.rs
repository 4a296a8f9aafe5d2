//! What dockbell accepts as a plugin, and how it says no.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dockbell::config::PluginConfig;
use dockbell::plugin::{Filter, Formatter, Plugin, Refused, Role, Runtime};
use dockbell_tests::guests::{Guest, batch, event, load};
use dockbell_tests::registry::sha256;

fn refusal(bytes: &[u8]) -> String {
    load(bytes, |_| {}).expect_err("the plugin was not refused").to_string()
}

fn refusal_of_path(path: &Path) -> String {
    let config = PluginConfig::new(&path.to_string_lossy());
    Runtime::new().unwrap().load("guest", &config).expect_err("the plugin was not refused").to_string()
}

fn loaded(bytes: &[u8]) -> Arc<Plugin> {
    load(bytes, |config| config.timeout = Duration::from_secs(10)).unwrap()
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[test]
fn a_missing_file_is_named_with_the_bundled_plugins() {
    let message = refusal_of_path(Path::new("/nowhere/trouble.wasm"));
    assert_says(&message, &["plugin `guest`: cannot read `/nowhere/trouble.wasm`", "No such file", "\nhint: "]);
    assert_says(&message, &["`match`, `email`, `json`"]);
}

#[test]
fn another_content_than_the_digest_says_is_refused_before_it_is_compiled() {
    let component = Guest::filter().component();
    let digest = sha256(&component);
    load(&component, |config| config.sha256 = Some(digest.parse().unwrap())).unwrap();
    // What could not be compiled either.
    let other = b"\0asm\x0d\0\x01\0 no component";
    let message = load(other, |config| config.sha256 = Some(digest.parse().unwrap())).unwrap_err().to_string();
    assert_says(&message, &["plugin `guest`", "another content than its `sha256` says", &digest[7..]]);
    assert_says(
        &message,
        &[&format!("\nhint: if you have changed it yourself, write `sha256 = \"{}\"`", &sha256(other)[7..])],
    );
}

#[test]
fn a_folder_is_not_a_component() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&refusal_of_path(folder.path()), &["plugin `guest`", "folder", "\nhint: "]);
}

#[test]
fn a_pipe_or_a_device_is_refused_without_reading_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.wasm");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(pipe.metadata().unwrap().file_type().is_fifo());
    for path in [&*pipe, Path::new("/dev/zero")] {
        assert_says(&refusal_of_path(path), &["plugin `guest`", "not a file", "\nhint: "]);
    }
}

#[test]
fn a_file_larger_than_256_mib_is_refused_without_reading_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len((256 << 20) + 1).unwrap();
    assert_says(&refusal_of_path(file.path()), &["plugin `guest`", "268435457 bytes", "268435456", "\nhint: "]);
}

#[test]
fn other_files_are_told_apart() {
    let cases: [(&[u8], &str); 6] = [
        (b"", "the file is empty"),
        (b"components: none\n", "it does not begin as WebAssembly does"),
        (b"(component)", "it does not begin as WebAssembly does"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0", "it is native code"),
        (b"\0asm\x0e\0\x01\0", "a version of the binary format that is not known"),
        (b"\0asm", "it does not begin as WebAssembly does"),
    ];
    for (bytes, reason) in cases {
        assert_says(
            &refusal(bytes),
            &["plugin `guest`: `/", "is not a WebAssembly component", reason, "\nhint: build it"],
        );
    }
}

#[test]
fn precompiled_code_is_refused_even_when_this_wasmtime_made_it() {
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let compiled = engine.precompile_component(&Guest::filter().component()).unwrap();
    assert_says(&refusal(&compiled), &["it is compiled already", "`.cwasm`"]);
}

#[test]
fn a_truncated_component_is_refused_wherever_it_ends() {
    let component = Guest::filter().component();
    for length in (9..component.len()).step_by(97) {
        assert_says(&refusal(&component[..length]), &["plugin `guest`", "\nhint: "]);
    }
}

#[tokio::test]
async fn a_core_module_that_carries_its_wit_is_a_plugin() {
    let plugin = loaded(&Guest::filter().module());
    assert_eq!(plugin.roles(), [Role::Filter]);
    let mut filter = Filter::start(plugin).await.unwrap();
    assert_eq!(filter.accept(&event()).await, Ok(true));
}

#[test]
fn a_core_module_without_wit_is_refused() {
    let message = refusal(&Guest::filter().bare_module());
    assert_says(&message, &["it is a core module", "`component-type` section", "\nhint: build it for the world"]);
}

#[tokio::test]
async fn a_plugin_in_the_wrong_place_is_told_where_it_belongs() {
    let refused = Formatter::start(loaded(&Guest::filter().component())).await.unwrap_err().to_string();
    assert_says(&refused, &["plugin `guest` is not a formatter", "`dockbell:plugin/formatter@0.1.0`"]);
    assert_says(&refused, &["\nhint: ", "`formatter-plugin`", "it is a filter: name it under `filters`"]);
    let refused = Filter::start(loaded(&Guest::formatter().component())).await.unwrap_err().to_string();
    assert_says(&refused, &["plugin `guest` is not a filter", "`dockbell:plugin/filter@0.1.0`"]);
    assert_says(&refused, &["\nhint: ", "`filter-plugin`", "it is a formatter: name it as `formatter`"]);
}

#[tokio::test]
async fn one_component_can_be_both() {
    let mut guest = Guest::exporting(&["setup", "filter", "formatter"]);
    let (subject, text) = (guest.text("both"), guest.text("of them"));
    guest.format(&format!("(call $message {subject} {text})"));
    let plugin = loaded(&guest.component());
    assert_eq!(plugin.roles(), [Role::Filter, Role::Formatter]);
    assert_eq!(Filter::start(Arc::clone(&plugin)).await.unwrap().accept(&event()).await, Ok(true));
    assert_eq!(Formatter::start(plugin).await.unwrap().format(&batch(1)).await.unwrap()[0].subject, "both");
}

#[test]
fn a_plugin_that_lacks_an_interface_is_told_which() {
    let without_setup = refusal(&Guest::exporting(&["filter"]).component());
    assert_says(
        &without_setup,
        &["lacks the export `dockbell:plugin/setup@0.1.0`", "it exports `dockbell:plugin/filter"],
    );
    let only_setup = refusal(&Guest::exporting(&["setup"]).component());
    assert_says(&only_setup, &["`dockbell:plugin/filter@0.1.0` or `dockbell:plugin/formatter@0.1.0`", "\nhint: "]);
    assert_says(&refusal(&wat::parse_str("(component)").unwrap()), &["it exports nothing", "\nhint: "]);
}

#[test]
fn another_track_is_refused_with_both_versions() {
    for version in ["0.2.0", "1.0.0", "0.10.0"] {
        let message = refusal(Guest::filter().version(version).component().as_slice());
        let built = format!("plugin `guest` was built for version {version} of the plugin interface");
        assert_says(&message, &[&built, "this dockbell serves 0.1.x", "\nhint: ", "`wit/v0.1`"]);
    }
}

#[tokio::test]
async fn a_later_version_of_the_track_runs() {
    let mut guest = Guest::filter();
    let hello = guest.version("0.1.7").text("hello");
    guest.logging().accept(&format!("(call $log (i32.const 2) {hello}) (call $answer (i32.const 0))"));
    let mut filter = Filter::start(loaded(&guest.component())).await.unwrap();
    assert_eq!(filter.accept(&event()).await, Ok(false));
}

#[test]
fn unknown_imports_are_all_named() {
    let mut guest = Guest::filter();
    guest
        .packages(
            "package evil:net { interface sockets { open: func() -> u32; } interface dns { ask: func() -> u32; } }",
        )
        .import("evil:net/sockets", r#"(func $open (import "evil:net/sockets" "open") (result i32))"#)
        .import("evil:net/dns", r#"(func $ask (import "evil:net/dns" "ask") (result i32))"#);
    let message = refusal(&guest.component());
    assert_says(&message, &["plugin `guest` imports", "`evil:net/sockets`", "`evil:net/dns`", "\nhint: "]);
}

#[test]
fn wasi_beyond_what_is_linked_is_named_as_an_import() {
    let mut guest = Guest::filter();
    guest
        .packages("package wasi:keyvalue@0.2.0 { interface store { open: func() -> u32; } }")
        .import("wasi:keyvalue/store@0.2.0", r#"(func (import "wasi:keyvalue/store@0.2.0" "open") (result i32))"#);
    let message = refusal(&guest.component());
    assert_says(&message, &["imports what dockbell does not offer: `wasi:keyvalue/store@0.2.0`", "\nhint: "]);
}

#[tokio::test]
async fn an_export_of_another_type_is_refused_as_a_misfit() {
    let component = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func $f (result bool) (canon lift (core func $i "f")))
        (instance (export "dockbell:plugin/setup@0.1.0") (export "configure" (func $f)))
        (instance (export "dockbell:plugin/filter@0.1.0") (export "accept" (func $f))))"#;
    let plugin = load(&wat::parse_str(component).unwrap(), |_| {});
    let refused = match plugin {
        Ok(plugin) => Filter::start(plugin).await.unwrap_err(),
        Err(refused) => refused,
    };
    assert!(matches!(refused, Refused::Misfit { .. }), "{refused:?}");
    assert_says(&refused.to_string(), &["plugin `guest` does not fit the plugin interface", "configure", "\nhint: "]);
}

#[test]
fn a_function_that_the_interface_does_not_have_is_a_misfit() {
    let component = r#"(component
        (import "dockbell:plugin/logging@0.1.0" (instance (export "shout" (func))))
        (instance (export "dockbell:plugin/setup@0.1.0"))
        (instance (export "dockbell:plugin/filter@0.1.0")))"#;
    assert_says(&refusal(&wat::parse_str(component).unwrap()), &["does not fit", "shout", "\nhint: "]);
}

#[tokio::test]
async fn the_configuration_arrives_as_json_and_its_refusal_is_shown() {
    let mut guest = Guest::filter();
    guest.configure("(call $error (local.get $config) (local.get $len))");
    let plugin = load(&guest.component(), |config| {
        config.config.insert("action".to_owned(), serde_json::json!(["die", "oom"]));
    });
    let refused = Filter::start(plugin.unwrap()).await.unwrap_err();
    assert!(matches!(refused, Refused::Configuration { .. }), "{refused:?}");
    let message = refused.to_string();
    assert_says(&message, &[r#"plugin `guest` refuses its configuration: {"action":["die","oom"]}"#]);
    assert_says(&message, &["\nhint: see `config` in `[plugins.guest]`"]);
    let plugin = load(&guest.component(), |_| {}).unwrap();
    assert_says(&Filter::start(plugin).await.unwrap_err().to_string(), &["configuration: {}"]);
}

#[tokio::test]
async fn a_plugin_that_does_not_survive_its_start_is_refused() {
    let mut trapping = Guest::filter();
    trapping.configure("unreachable");
    let message = Filter::start(loaded(&trapping.component())).await.unwrap_err().to_string();
    assert_says(&message, &["plugin `guest` cannot be started: it trapped: it aborted (`unreachable`)", "\nhint: "]);
    let mut trapping = Guest::filter();
    trapping.start("unreachable");
    let message = Filter::start(loaded(&trapping.component())).await.unwrap_err().to_string();
    assert_says(&message, &["plugin `guest` cannot be started: it trapped: it aborted (`unreachable`)", "\nhint: "]);
}

#[tokio::test]
async fn the_last_words_before_a_trap_are_part_of_the_message() {
    let mut guest = Guest::filter();
    let words = guest.text("index out of bounds: the len is 3\nat match.rs:7");
    guest.logging().configure(&format!("(call $log (i32.const 4) {words}) unreachable"));
    let message = Filter::start(loaded(&guest.component())).await.unwrap_err().to_string();
    assert_says(&message, &["(`unreachable`); it said: index out of bounds: the len is 3 at match.rs:7\nhint: "]);
}

/// Numbers that are the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

/// Whatever becomes of damaged bytes: a refusal or a plugin whose calls end, never a panic or a hang.
async fn survive(bytes: &[u8]) -> bool {
    let Ok(plugin) = load(bytes, |config| config.timeout = Duration::from_millis(50)) else { return false };
    let Ok(mut filter) = Filter::start(plugin).await else { return false };
    let answer = filter.accept(&event()).await;
    if let Err(error) = &answer {
        assert!(!error.brief().is_empty());
    }
    answer.is_ok()
}

#[tokio::test]
async fn damaged_components_and_modules_are_refused_or_work_but_never_panic() {
    let mut guest = Guest::filter();
    let hello = guest.text("hello");
    guest.logging().accept(&format!("(call $log (i32.const 2) {hello}) (call $answer (i32.const 1))"));
    let bundled = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/dist/match.wasm")).unwrap();
    for (whole, cases) in [(guest.component(), 300), (guest.module(), 300), (bundled, 10)] {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut working = 0;
        for _ in 0..cases {
            let mut damaged = whole.clone();
            for _ in 0..=numbers.below(4) {
                // Behind the first 8 bytes, which decide what it is.
                let at = 8 + numbers.below(damaged.len() - 8);
                damaged[at] ^= 1 << numbers.below(8);
            }
            working += u32::from(survive(&damaged).await);
        }
        // Damage to a text may go unnoticed, damage to the structure does not.
        assert!(working < cases, "{working} of {cases} damaged plugins work");
    }
}
