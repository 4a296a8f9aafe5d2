//! Events as an engine prints them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// An event of a container, such as `die`.
#[must_use]
pub fn container(action: &str) -> EventLine {
    event("container", action)
}

/// An event of any kind. Its time is now, and different from that of every other.
#[must_use]
pub fn event(kind: &str, action: &str) -> EventLine {
    let line = EventLine {
        kind: kind.to_owned(),
        action: action.to_owned(),
        id: String::new(),
        attributes: BTreeMap::new(),
        time_nanos: unique_now(),
        legacy: false,
    };
    line.name("web-1")
}

/// Builds the line of one event.
#[derive(Debug, Clone)]
pub struct EventLine {
    kind: String,
    action: String,
    id: String,
    attributes: BTreeMap<String, String>,
    time_nanos: i64,
    legacy: bool,
}

impl EventLine {
    /// The name; without an own id, the id comes from it. `web-1` where none is given.
    pub fn name(mut self, name: &str) -> Self {
        let digest = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.id = format!("{digest:016x}").repeat(4);
        self.attribute("name", name)
    }

    /// The id.
    pub fn id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// The image.
    pub fn image(self, image: &str) -> Self {
        self.attribute("image", image)
    }

    /// An attribute, such as `exitCode`, or a label.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The time.
    pub fn at(self, time: Timestamp) -> Self {
        self.at_nanos(i64::try_from(time.as_nanosecond()).expect("a time before 2262"))
    }

    /// The time, in nanoseconds since the Unix epoch.
    pub fn at_nanos(mut self, time_nanos: i64) -> Self {
        self.time_nanos = time_nanos;
        self
    }

    /// With the fields `status`, `id` and `from`, which engines sent before API 1.52.
    pub fn legacy(mut self) -> Self {
        self.legacy = true;
        self
    }

    /// Its time, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn time_nanos(&self) -> i64 {
        self.time_nanos
    }

    /// The line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        let mut object = Map::new();
        let mut set = |name: &str, value: Value| object.insert(name.to_owned(), value);
        if self.legacy {
            set("status", json!(self.action));
            set("id", json!(self.id));
            if let Some(image) = self.attributes.get("image") {
                set("from", json!(image));
            }
        }
        set("Type", json!(self.kind));
        set("Action", json!(self.action));
        set("Actor", json!({"ID": self.id, "Attributes": self.attributes}));
        set("scope", json!("local"));
        set("time", json!(self.time_nanos / 1_000_000_000));
        set("timeNano", json!(self.time_nanos));
        Value::Object(object).to_string()
    }
}

impl From<EventLine> for String {
    fn from(event: EventLine) -> Self {
        event.line()
    }
}

impl From<&EventLine> for String {
    fn from(event: &EventLine) -> Self {
        event.line()
    }
}

fn unique_now() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = i64::try_from(Timestamp::now().as_nanosecond()).expect("a time before 2262");
    let before = LAST.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(now.max(last + 1)));
    now.max(before.expect("always some") + 1)
}
