//! Plugins in Python, JavaScript and TypeScript: built from source by the program, and run in its sandbox.
//!
//! `cargo xtask test` brings the toolchains and says where they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dockbell::config::PluginConfig;
use dockbell::plugin::{CallError, CompileLimits, Compiler, Filter, Runtime};
use dockbell_tests::guests::event;
use dockbell_tests::program::program;
use serde_json::Value;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A plugin's folder, with the tools of its language at hand.
struct Plugin {
    folder: TempDir,
    name: String,
}

/// A tool's folder, of which `cargo xtask test` says where it is.
fn tools(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("`{variable}` is not set: run `cargo xtask test`")).into()
}

impl Plugin {
    /// What `dockbell plugin new` makes.
    fn new(language: &str, kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("my-{kind}");
        let mut command = program(DOCKBELL);
        command.args(["plugin", "new", &name, "--lang", language, "--kind", kind, "--dir"]).arg(folder.path());
        assert_succeeds(&mut command);
        Self { folder, name }.with_packages()
    }

    /// A copy of an example.
    fn example(language: &str, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in fs::read_dir(Path::new(ROOT).join("examples/plugins").join(language)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
            }
        }
        Self { folder, name: name.to_owned() }.with_packages()
    }

    /// A plugin with this as its only file.
    fn odd(language: &str, file: &str, source: &str) -> Self {
        let plugin = Self::new(language, "filter");
        fs::write(plugin.path(file), source).unwrap();
        plugin
    }

    /// As `npm install` would leave them.
    fn with_packages(self) -> Self {
        symlink(tools("DOCKBELL_TEST_NODE_MODULES"), self.path("node_modules")).unwrap();
        self
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// A program in the folder, which finds the tools.
    fn command(&self, name: &str) -> Command {
        let tools = [tools("DOCKBELL_TEST_COMPONENTIZE_PY").join("bin"), self.path("node_modules/.bin")];
        let path = env::var_os("PATH").unwrap();
        let mut command = program(name);
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.env("PATH", env::join_paths(tools.into_iter().chain(env::split_paths(&path))).unwrap());
        command.env("DOCKBELL_CACHE", self.path("cache"));
        command
    }

    /// Builds it, and looks that it imports nothing of the machine.
    fn build(self) -> Self {
        let said = assert_succeeds(self.command(DOCKBELL).args(["plugin", "build"]));
        assert!(said.contains("imports dockbell:plugin/logging@0.1.0\n"), "it imports more than the log: {said}");
        self
    }

    /// What is told of recorded events.
    fn replay(&self, events: &Path, config: &str) -> String {
        let command = &mut self.command(DOCKBELL);
        command.arg("replay").arg(events).args(["--config", config, "--output", "json"]);
        assert_succeeds(command)
    }

    /// The same of the recording of a shop, each message as JSON.
    fn of_shop(&self, config: &str) -> Vec<Value> {
        fs::write(self.path("test.toml"), config).unwrap();
        let told = self.replay(&Path::new(ROOT).join("examples/recordings/shop.jsonl"), "test.toml");
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn start(&self) -> Filter {
        let limits = CompileLimits::default();
        let cache = self.path("cache");
        let runtime = Runtime::with(Compiler::Child { program: DOCKBELL.into(), limits }, Some(&cache)).unwrap();
        let config = PluginConfig::new(&self.path(&format!("{}.wasm", self.name)).to_string_lossy());
        Filter::start(runtime.load("odd", &config).unwrap()).await.unwrap()
    }
}

/// Runs a command to its end, and answers its output.
#[track_caller]
fn assert_succeeds(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{}", String::from_utf8_lossy(&stderr));
    stdout
}

/// Builds a new plugin, runs its own tests, and has it tell the events that it came with.
fn a_new_plugin_works(language: &str, kind: &str, test: &[&str]) -> Plugin {
    let plugin = Plugin::new(language, kind).build();
    assert_succeeds(plugin.command(test[0]).args(&test[1..]));
    let told = plugin.replay(&plugin.path("events.jsonl"), "dockbell.toml");
    assert!(told.contains("shop-worker-1"), "{told}");
    assert!(!told.contains("failed"), "{told}");
    plugin
}

const UNITTEST: &[&str] = &["python3", "-m", "unittest"];
const NPM_TEST: &[&str] = &["npm", "test"];

#[test]
fn a_new_filter_in_python_works_and_is_compiled_only_once() {
    let plugin = a_new_plugin_works("python", "filter", UNITTEST);
    let config = PluginConfig::new(&plugin.path("my-filter.wasm").to_string_lossy());
    let cache = plugin.path("empty");
    let load = |program: &str, limits| {
        let compiler = Compiler::Child { program: program.into(), limits };
        let loaded = Runtime::with(compiler, Some(&cache)).unwrap().load("python", &config).unwrap();
        assert!(loaded.bytes() > 16 << 20, "CPython is not in it: {} bytes", loaded.bytes());
    };
    // A quarter of what a component may have by default.
    load(DOCKBELL, CompileLimits { memory: 512 << 20, ..CompileLimits::default() });
    // Without any compiler it can come only from the cache; how quickly, the bench measures.
    load("/bin/false", CompileLimits::default());
}

#[test]
fn a_new_formatter_in_python_works() {
    a_new_plugin_works("python", "formatter", UNITTEST);
}

#[test]
fn new_plugins_in_javascript_work() {
    a_new_plugin_works("js", "filter", NPM_TEST);
    a_new_plugin_works("js", "formatter", NPM_TEST);
}

#[test]
fn new_plugins_in_typescript_work() {
    a_new_plugin_works("ts", "filter", NPM_TEST);
    a_new_plugin_works("ts", "formatter", NPM_TEST);
}

/// What the on-call calendar lets pass of the shop's events, with these hours. The recording was made on a Sunday, from
/// 13:29:46 to 13:32:44 in Berlin.
fn on_call(plugin: &Plugin, hours: &str) -> Vec<Value> {
    let told = plugin.of_shop(&format!(
        "[plugins.on-call]\ncomponent = \"on-call.wasm\"\n\
         config = {{ zone = \"Europe/Berlin\", hours = {hours} }}\n\
         [routes.default]\nfilters = [\"on-call\"]\nformatter = \"json\"\nsettle = \"0s\"\nwindow = \"0s\"\n"
    ));
    told.iter().flat_map(|told| told["events"].as_array().unwrap().clone()).collect()
}

#[test]
fn the_on_call_calendar_tells_everything_within_hours_and_outside_of_them_what_cannot_wait() {
    let plugin = Plugin::example("python", "on-call").build();
    assert_succeeds(plugin.command("python3").args(["-m", "unittest"]));
    let all = on_call(&plugin, "{ sun = [\"00:00-24:00\"] }");
    assert_eq!(all.len(), 255);
    let cannot_wait = |event: &Value| {
        let fact = |name: &str| event["facts"][name].as_str().unwrap_or_default();
        match event["Action"].as_str().unwrap() {
            "die" => ["crashed", "oom"].contains(&fact("cause")),
            "health_status: unhealthy" => true,
            "start" | "health_status: healthy" => !fact("recovered-after").is_empty(),
            _ => false,
        }
    };
    let half_past_twelve = 1_795_350_600;
    let expected: Vec<Value> = all
        .iter()
        .filter(|event| event["time"].as_i64().unwrap() < half_past_twelve || cannot_wait(event))
        .cloned()
        .collect();
    assert!(expected.len() > 20 && expected.len() < 100, "{} of {}", expected.len(), all.len());
    assert_eq!(on_call(&plugin, "{ fri-sun = [\"13:00-13:30\"] }"), expected);
}

#[test]
fn the_markdown_formatter_tells_every_event_of_the_shop() {
    let plugin = Plugin::example("javascript", "markdown").build();
    assert_succeeds(plugin.command("npm").arg("test"));
    let told = plugin.of_shop(
        "[plugins.markdown]\ncomponent = \"markdown.wasm\"\n\
         config = { json = \"body\", links = { logs = \"https://logs.example.com/?c={name}\" } }\n\
         [routes.default]\nformatter = \"markdown\"\n",
    );
    let text: String = told.iter().map(|told| told["body"].as_str().unwrap()).collect::<Vec<_>>().join("\n");
    assert!(text.contains("shop\\-worker\\-1 **crashed \\(exit 1\\)** · `shop/worker:2.4.1`"), "{text}");
    assert!(text.contains("[logs](https://logs.example.com/?c=shop-worker-1)"), "{text}");
    // Tables of counts and the lines below them must agree.
    let counted: usize =
        text.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse::<usize>().ok()).sum();
    assert_eq!(text.lines().filter(|line| line.starts_with("- `12:")).count(), counted);
}

#[test]
fn the_slack_formatter_keeps_slacks_limits() {
    let plugin = Plugin::example("typescript", "slack-blocks").build();
    assert_succeeds(plugin.command("npm").arg("test"));
    // All 255 events in one message, too: the first and the last 50 of them.
    for window in ["60s", "1h"] {
        let told = plugin.of_shop(&format!(
            "[plugins.slack]\ncomponent = \"slack-blocks.wasm\"\n\
             [plugins.all]\ncomponent = \"match\"\n\
             [routes.default]\nfilters = [\"all\"]\nformatter = \"slack\"\nwindow = \"{window}\"\nwindow-max = \"{window}\"\n",
        ));
        assert!(!told.is_empty());
        for message in &told {
            let blocks = message["blocks"].as_array().unwrap();
            assert!(blocks.len() <= 50, "{} blocks", blocks.len());
            assert_eq!(blocks[0]["type"], "header");
            for block in blocks {
                let text = block.pointer("/text/text").or_else(|| block.pointer("/elements/0/text"));
                let length = text.unwrap().as_str().unwrap().encode_utf16().count();
                let limit = if block["type"] == "header" { 150 } else { 3000 };
                assert!((1..=limit).contains(&length), "{length} characters: {block}");
            }
        }
    }
}

/// A filter that does what the event's engine is called.
const ODD_PYTHON: &str = r#"
import dataclasses, datetime, json, logging, random, sys, time, traceback, warnings
from zoneinfo import ZoneInfo
from dockbell import PluginError, export_filter

def late(): import wave
def fail(): {}["key"]
def refuse(): raise PluginError("only this")
def deep(): deep()
def shown():
    try:
        fail()
    except KeyError:
        logging.exception("with its place")
    return True

def said():
    print("two\nlines")
    print("aside", file=sys.stderr)
    logging.debug("hidden")
    logging.error("wrong")
    return True

ODD = dict(
    late=late, fail=fail, refuse=refuse, deep=deep, shown=shown,
    nothing=lambda: None, text=lambda: "yes", leave=lambda: sys.exit(3), memory=lambda: "a" * (200 << 20),
    file=lambda: open("/etc/passwd"), clock=lambda: time.time(), ask=lambda: input(), zone=lambda: ZoneInfo("Asia/Tokyo"),
    parse=lambda: datetime.datetime.strptime("2026", "%Y").year == 2026, chance=lambda: random.random() < 2,
    warn=lambda: warnings.warn("careful") or True, local=said,
)

class Odd:
    def __init__(self, config): print("made", config)
    def accept(self, event):
        if event.engine == "echo":
            raise PluginError(json.dumps(dataclasses.asdict(dataclasses.replace(event))))
        return ODD[event.engine]()

Setup, Filter, PackedFilter = export_filter(Odd)
"#;

const ODD_JAVASCRIPT: &str = r#"
import { exportFilter, log, PluginError } from "./dockbell/index.js";

const ODD = {
  fail: () => null.key, refuse: () => { throw new PluginError("only this"); }, throwText: () => { throw "a text"; },
  throwNull: () => { throw null; }, half: () => { throw new PluginError("half \ud83d"); },
  nothing: () => undefined, text: () => "yes", promise: async () => true, memory: () => "a".repeat(200 << 20),
  clock: () => Date.now(), now: () => new Date(), fixed: () => new Date(0).toISOString() === "1970-01-01T00:00:00.000Z",
  chance: () => Math.random() < 2, timer: () => setTimeout(() => {}, 1),
  local: () => { console.log("two\nlines"); console.warn("aside"); log.debug("hidden"); log.error("wrong"); return true; },
};

class Odd {
  constructor(config) { console.log("made", config); }
  accept(event) {
    if (event.engine === "echo") throw new PluginError(JSON.stringify({ ...event, timeNanos: 0 }));
    return ODD[event.engine]();
  }
}

export const { setup, filter, packedFilter } = exportFilter(Odd);
"#;

/// What is printed and logged is in dockbell's log, under the plugin's name. A replayed event's engine is called `local`.
#[track_caller]
fn assert_logs(plugin: &Plugin) {
    let one = fs::read_to_string(plugin.path("events.jsonl")).unwrap().lines().next().unwrap().to_owned();
    fs::write(plugin.path("one.jsonl"), one).unwrap();
    let ended = plugin.command(DOCKBELL).args(["replay", "one.jsonl", "--config", "dockbell.toml"]).output().unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    let own: Vec<&str> = log
        .lines()
        .filter_map(|line| line.strip_suffix(" plugin=\"my-filter\""))
        .filter(|line| !line.contains("compiling"))
        .filter_map(|line| line.split_once(' '))
        .map(|(_, said)| said.trim())
        .collect();
    assert_eq!(own, ["INFO made {}", "INFO two", "INFO lines", "WARN aside", "WARN wrong"], "{log}");
}

/// Calls the filter once for each name, and compares its answers. None of them may end it.
async fn assert_answers(filter: &mut Filter, expected: &[(&str, Result<bool, &str>)]) {
    for (name, expected) in expected {
        let mut event = event();
        event.engine = (*name).into();
        let answer = filter.accept(&event).await;
        let expected = expected.map_err(|text| CallError::Failed(text.to_owned()));
        assert_eq!(answer, expected, "{name}");
    }
}

/// The filter says which event it was given: all of it, also where its characters are longer than a byte.
async fn assert_echoes(filter: &mut Filter, names: [&str; 2]) {
    let mut given = event();
    given.engine = "echo".into();
    given.detail = "\u{fc}\u{20ac}".into();
    given.time_nanos = 0;
    let attributes = [("\u{1f433}", "a\u{e9}b"), ("name", "web-1"), ("empty", "")];
    given.attributes = attributes.into_iter().collect();
    let Err(CallError::Failed(text)) = filter.accept(&given).await else { panic!("it does not say") };
    let [id, time] = names;
    let expected = serde_json::json!({
        "engine": "echo", "kind": "container", "action": "die", "detail": "\u{fc}\u{20ac}", id: given.actor_id,
        "scope": "local", time: 0, "attributes": attributes.map(|(name, value)| [name, value]),
        "facts": [["identity", "shop/web"], ["cause", "crashed"]],
    });
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

#[tokio::test]
async fn whatever_goes_wrong_in_python_is_said_in_words() {
    let plugin = Plugin::odd("python", "plugin.py", ODD_PYTHON).build();
    assert_logs(&plugin);
    let mut filter = plugin.start().await;
    assert_echoes(&mut filter, ["actor_id", "time_nanos"]).await;
    assert_answers(
        &mut filter,
        &[
            ("late", Err("ImportError: `wave` is imported too late: import it at the top of a module (plugin.py, line 6, in late)")),
            ("fail", Err("KeyError: 'key' (plugin.py, line 7, in fail)")),
            ("refuse", Err("only this")),
            ("deep", Err("RecursionError: maximum recursion depth exceeded (plugin.py, line 9, in deep)")),
            ("shown", Ok(true)),
            ("nothing", Err("`accept` must return True or False, and returned None")),
            ("text", Err("`accept` must return True or False, and returned 'yes'")),
            ("leave", Err("SystemExit: 3 (plugin.py, line 26, in <lambda>)")),
            ("memory", Err("MemoryError (plugin.py, line 26, in <lambda>)")),
            ("file", Err("a plugin has no files: read what you need at the top of a module, when the plugin is built")),
            ("clock", Err("a plugin has no clock: `event.time_nanos` is the time")),
            ("ask", Err("EOFError: EOF when reading a line (plugin.py, line 27, in <lambda>)")),
            ("zone", Err("ImportError: `importlib.resources` is imported too late: import it at the top of a module (plugin.py, line 27, in <lambda>)")),
            ("parse", Ok(true)),
            ("chance", Ok(true)),
            ("warn", Ok(true)),
        ],
    )
    .await;
}

#[tokio::test]
async fn whatever_goes_wrong_in_javascript_is_said_in_words() {
    let plugin = Plugin::odd("js", "plugin.js", ODD_JAVASCRIPT).build();
    assert_logs(&plugin);
    let mut filter = plugin.start().await;
    assert_echoes(&mut filter, ["actorId", "timeNanos"]).await;
    let no_clock = "a plugin has no clock: `timeNanos` of the event is the time";
    assert_answers(
        &mut filter,
        &[
            ("refuse", Err("only this")),
            ("throwText", Err("a text")),
            ("throwNull", Err("null")),
            ("half", Err("half \u{fffd}")),
            ("nothing", Err("`accept` must return true or false, and returned undefined")),
            ("text", Err("`accept` must return true or false, and returned \"yes\"")),
            (
                "promise",
                Err("`accept` must return true or false, and returned a promise: a call cannot wait for anything"),
            ),
            ("clock", Err(no_clock)),
            ("now", Err(no_clock)),
            ("fixed", Ok(true)),
            ("chance", Ok(true)),
        ],
    )
    .await;
    // Where an error came from is said, too.
    for (name, begin) in [
        ("fail", "TypeError: cannot read property 'key' of null (fail, plugin.js:"),
        ("timer", "ReferenceError: setTimeout is not defined (timer, plugin.js:"),
        ("memory", "InternalError: out of memory (memory, plugin.js:"),
    ] {
        let mut event = event();
        event.engine = name.into();
        let Err(CallError::Failed(text)) = filter.accept(&event).await else { panic!("{name}") };
        assert!(text.starts_with(begin), "{text}");
    }
}
