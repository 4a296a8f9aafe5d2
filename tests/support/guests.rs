//! Plugins for tests, made of WebAssembly text, so that no compiler is needed and a guest can be as hostile as it likes.
//!
//! ```
//! use dockbell_tests::guests::{Guest, load};
//! let nobody = Guest::filter().accept("(call $answer (i32.const 0))").component();
//! let plugin = load(&nobody, |config| config.memory = 1 << 20).unwrap();
//! assert_eq!(plugin.name(), "guest");
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use dockbell::config::PluginConfig;
use dockbell::event::{Event, Fact};
use dockbell::message::{Batch, Phase};
use dockbell::plugin::{Plugin, Refused, Runtime};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

/// The files of the plugin interface.
const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/v0.1");
/// Where the texts of a guest begin; below are the zero page and what a call returns.
const TEXTS: usize = 1024;
/// Where the memory begins that `cabi_realloc` gives out.
const HEAP: usize = 64 << 10;

/// A plugin in the making. Each function body is WebAssembly text and may use what [`PRELUDE`] defines.
#[derive(Debug, Clone)]
pub struct Guest {
    exports: Vec<&'static str>,
    version: String,
    configure: String,
    accept: String,
    format: String,
    /// Interfaces, and the functions of them that the core module imports.
    imports: Vec<(String, String)>,
    packages: String,
    realloc: String,
    fields: String,
    texts: String,
    texts_end: usize,
}

/// What every body can call: answers are left at address 16, memory is given out and never taken back within a call.
///
/// `$answer` makes `ok(true)`, `ok(false)` and `configure`'s `ok`; `$error` an `err` of a text; `$list` an `ok` of a list;
/// `$message` an `ok` of one notification with a subject and a `text/plain` form, or whatever `$media` was set to.
const PRELUDE: &str = r#"
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 65536))
  (func $free (global.set $heap (i32.const 65536)))
  (func $answer (param $value i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 0))
    (i32.store8 (i32.const 20) (local.get $value))
    (i32.const 16))
  (func $error (param $text i32) (param $len i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store (i32.const 20) (local.get $text))
    (i32.store (i32.const 24) (local.get $len))
    (i32.const 16))
  (func $list (param $items i32) (param $len i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 0))
    (i32.store (i32.const 20) (local.get $items))
    (i32.store (i32.const 24) (local.get $len))
    (i32.const 16))
  (global $media (mut i32) (i32.const 0))
  (global $media_len (mut i32) (i32.const 0))
  (func $message (param $subject i32) (param $subject_len i32) (param $text i32) (param $len i32) (result i32)
    (if (i32.eqz (global.get $media)) (then
      (i64.store (i32.const 112) (i64.const 0x616c702f74786574)) ;; "text/pla"
      (i32.store (i32.const 120) (i32.const 0x6e69))             ;; "in"
      (global.set $media (i32.const 112))
      (global.set $media_len (i32.const 10))))
    (i32.store (i32.const 96) (global.get $media))
    (i32.store (i32.const 100) (global.get $media_len))
    (i32.store (i32.const 104) (local.get $text))
    (i32.store (i32.const 108) (local.get $len))
    (i32.store (i32.const 64) (local.get $subject))
    (i32.store (i32.const 68) (local.get $subject_len))
    (i32.store (i32.const 72) (i32.const 96))
    (i32.store (i32.const 76) (i32.const 1))
    (i32.store (i32.const 80) (i32.const 0))
    (i32.store (i32.const 84) (i32.const 0))
    (call $list (i32.const 64) (i32.const 1)))
"#;

/// Gives out what lies behind what was given before, and grows the memory for it.
const REALLOC: &str = "
    (local $at i32)
    (local $lack i32)
    (local.set $at (i32.and
      (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $at) (local.get $len)))
    (local.set $lack (i32.sub (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $lack) (i32.const 0)) (then
      (if (i32.eq (i32.const -1)
            (memory.grow (i32.shr_u (i32.add (local.get $lack) (i32.const 65535)) (i32.const 16))))
        (then unreachable))))
    (local.get $at)";

impl Guest {
    /// A filter that accepts everything.
    #[must_use]
    pub fn filter() -> Self {
        Self::exporting(&["setup", "filter"])
    }

    /// A formatter whose message has the subject `hello` and the text `world`.
    #[must_use]
    pub fn formatter() -> Self {
        let mut guest = Self::exporting(&["setup", "formatter"]);
        let (subject, text) = (guest.text("hello"), guest.text("world"));
        guest.format(&format!("(call $message {subject} {text})"));
        guest
    }

    /// A guest with these interfaces of the plugin interface.
    #[must_use]
    pub fn exporting(interfaces: &[&'static str]) -> Self {
        Self {
            exports: interfaces.to_vec(),
            version: "0.1.0".to_owned(),
            configure: "(call $answer (i32.const 0))".to_owned(),
            accept: "(call $answer (i32.const 1))".to_owned(),
            format: "unreachable".to_owned(),
            imports: Vec::new(),
            packages: String::new(),
            realloc: REALLOC.to_owned(),
            fields: String::new(),
            texts: String::new(),
            texts_end: TEXTS,
        }
    }

    /// The body of `configure`; `$config` and `$len` are its JSON.
    pub fn configure(&mut self, body: &str) -> &mut Self {
        body.clone_into(&mut self.configure);
        self
    }

    /// The body of `accept`; `$event` is the address of the record.
    pub fn accept(&mut self, body: &str) -> &mut Self {
        body.clone_into(&mut self.accept);
        self
    }

    /// The body of `format`; `$total` and `$events` (address and length) are what tests have asked for so far.
    pub fn format(&mut self, body: &str) -> &mut Self {
        body.clone_into(&mut self.format);
        self
    }

    /// The body of `cabi_realloc`, which the host calls to hand over what does not fit into registers.
    pub fn realloc(&mut self, body: &str) -> &mut Self {
        body.clone_into(&mut self.realloc);
        self
    }

    /// What runs when the guest is instantiated, before `configure`.
    pub fn start(&mut self, body: &str) -> &mut Self {
        self.field(&format!("(func $start {body}) (start $start)"))
    }

    /// Another field of the module: a function, a global, a table.
    pub fn field(&mut self, field: &str) -> &mut Self {
        let _ = writeln!(self.fields, "  {field}");
        self
    }

    /// A text in the guest's memory; the answer is its address and length as two operands.
    #[must_use]
    pub fn text(&mut self, text: &str) -> String {
        self.bytes(text.as_bytes())
    }

    /// Bytes in the guest's memory; the answer is their address and length as two operands.
    #[must_use]
    pub fn bytes(&mut self, bytes: &[u8]) -> String {
        let at = self.texts_end;
        self.texts_end += bytes.len();
        assert!(self.texts_end <= HEAP, "the texts of a guest do not fit below its heap");
        let escaped = bytes.iter().fold(String::new(), |mut all, byte| {
            let _ = write!(all, "\\{byte:02x}");
            all
        });
        let _ = writeln!(self.texts, "  (data (i32.const {at}) \"{escaped}\")");
        format!("(i32.const {at}) (i32.const {})", bytes.len())
    }

    /// Imports `logging`: `(call $log level text len)`, where level 0 is `trace` and 4 is `error`.
    pub fn logging(&mut self) -> &mut Self {
        let interface = format!("dockbell:plugin/logging@{}", self.version);
        let function = format!("(func $log (import \"{interface}\" \"log\") (param i32 i32 i32))");
        self.import(&interface, &function)
    }

    /// Imports functions of an interface, written as imports of the core module. Call it once or more for an interface.
    pub fn import(&mut self, interface: &str, functions: &str) -> &mut Self {
        self.imports.push((interface.to_owned(), functions.to_owned()));
        self
    }

    /// WIT packages, each in braces, that define the interfaces of [`Guest::import`].
    pub fn packages(&mut self, packages: &str) -> &mut Self {
        self.packages.push_str(packages);
        self
    }

    /// Builds against another version of the plugin interface than 0.1.0. Call it first.
    pub fn version(&mut self, version: &str) -> &mut Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The core module, without a word about its interface.
    #[must_use]
    pub fn bare_module(&self) -> Vec<u8> {
        let mut text = "(module\n".to_owned();
        for (_, functions) in &self.imports {
            let _ = writeln!(text, "  {functions}");
        }
        text.push_str(PRELUDE);
        let params = "(param $old i32) (param $had i32) (param $align i32) (param $len i32)";
        let _ = writeln!(text, "  (func $realloc (export \"cabi_realloc\") {params} (result i32) {})", self.realloc);
        text.push_str(&self.texts);
        text.push_str(&self.fields);
        for interface in &self.exports {
            let (function, params, body) = match *interface {
                "setup" => ("configure", "(param $config i32) (param $len i32)", &self.configure),
                "filter" => ("accept", "(param $event i32)", &self.accept),
                "formatter" => (
                    "format",
                    "(param i32 i32 i32 i32 i32 i32 i64 i64) (param $total i32) (param i32 i32)
                     (param $events i32) (param $events_len i32) (param i32 i32)",
                    &self.format,
                ),
                other => panic!("the plugin interface has no `{other}`"),
            };
            let name = format!("dockbell:plugin/{interface}@{}#{function}", self.version);
            let _ = writeln!(text, "  (func (export \"{name}\") {params} (result i32) {body})");
            let _ = writeln!(text, "  (func (export \"cabi_post_{name}\") (param i32) (call $free))");
        }
        text.push(')');
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// The core module with its WIT in a `component-type` section, as compilers make it.
    #[must_use]
    pub fn module(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        resolve.push_group(self.interface()).unwrap();
        let mut world = "package test:guest;\nworld guest {\n".to_owned();
        let interfaces: BTreeSet<&String> = self.imports.iter().map(|(interface, _)| interface).collect();
        for interface in interfaces {
            let _ = writeln!(world, "import {interface};");
        }
        for interface in &self.exports {
            let _ = writeln!(world, "export dockbell:plugin/{interface}@{};", self.version);
        }
        world.push_str("}\n");
        world.push_str(&self.packages);
        let package = resolve.push_source("guest.wit", &world).unwrap_or_else(|error| panic!("{error:#}\n{world}"));
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        let mut module = self.bare_module();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        module
    }

    fn interface(&self) -> wit_parser::UnresolvedPackageGroup {
        let mut files = SourceMap::new();
        for file in Path::new(WIT).read_dir().unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            files.push_str(&path.to_string_lossy(), text.replace("@0.1.0", &format!("@{}", self.version)));
        }
        files.parse().unwrap_or_else(|(_, error)| panic!("{error}"))
    }

    /// The finished component.
    #[must_use]
    pub fn component(&self) -> Vec<u8> {
        let mut encoder = ComponentEncoder::default().validate(true).module(&self.module()).unwrap();
        encoder.encode().unwrap_or_else(|error| panic!("{error:#}"))
    }
}

/// Loads bytes as the plugin `guest`, with the default limits unless `limits` changes them.
///
/// # Errors
/// When dockbell refuses them.
pub fn load(bytes: &[u8], limits: impl FnOnce(&mut PluginConfig)) -> Result<Arc<Plugin>, Refused> {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut config = PluginConfig::new(&file.path().to_string_lossy());
    limits(&mut config);
    RUNTIME.load("guest", &config)
}

/// A filter that may call these functions of WASI 0.2.3: the interface, the name in it, how the module calls it, and its core
/// type.
#[must_use]
pub fn wasi_filter(functions: &[(&str, &str, &str, &str)]) -> Guest {
    let mut guest = Guest::filter();
    guest.packages(include_str!("wasi.wit"));
    for (interface, function, name, ty) in functions {
        let interface = format!("wasi:{interface}@0.2.3");
        guest.import(&interface, &format!("(func ${name} (import \"{interface}\" \"{function}\") {ty})"));
    }
    guest
}

/// An event as engines send it: the end of a container, with seven attributes and two facts.
#[must_use]
pub fn event() -> Event {
    let attributes = [
        ("com.docker.compose.project", "shop"),
        ("com.docker.compose.service", "web"),
        ("execDuration", "3"),
        ("exitCode", "137"),
        ("image", "shop/web:1.2"),
        ("maintainer", "ops@example.com"),
        ("name", "shop-web-1"),
    ];
    Event {
        engine: "local".into(),
        kind: "container".into(),
        action: "die".into(),
        actor_id: "8f1cf0a4b3a1f4c07a8f6f3c9d2f6f1b9d8fd1f1b0ce7b31a1f6c8f1f3f2a900".to_owned(),
        scope: "local".into(),
        time_nanos: 1_795_331_484_283_292_298,
        attributes: attributes.into_iter().collect(),
        facts: vec![(Fact::Identity, "shop/web".into()), (Fact::Cause, "crashed".into())],
        ..Event::default()
    }
}

/// A batch of as many such events.
#[must_use]
pub fn batch(events: u32) -> Batch {
    let event = Arc::new(event());
    Batch {
        route: "default".into(),
        group: String::new(),
        phase: Phase::First,
        total: events,
        span_nanos: (event.time_nanos, event.time_nanos),
        counts: vec![("container die".to_owned(), events)],
        events: (0..events).map(|_| Arc::clone(&event)).collect(),
        notes: Vec::new(),
        between: String::new(),
    }
}
