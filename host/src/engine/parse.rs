//! One line of an engine becomes an [`Event`], in Docker's words whichever engine sent it.
//!
//! Reads what `GET /events` of Docker and Podman sends and what `docker events --format '{{json .}}'` prints. A field of an
//! unexpected type costs the field, not the event. The old fields `status`, `id` and `from` are read only where `Type` is
//! missing: API 1.52 no longer sends them.

mod podman;
#[cfg(test)]
mod tests;
mod tolerant;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::event::{Event, nanos};

/// How many characters of a line that cannot be read are shown.
const EXCERPT: usize = 200;

/// A line that is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable line of {bytes} bytes: {reason}: {excerpt}")]
pub struct Unreadable {
    /// Length of the line.
    pub bytes: u64,
    /// Its first 200 characters, control characters escaped.
    pub excerpt: String,
    /// Why it cannot be read.
    pub reason: String,
}

/// Reads one line.
///
/// # Errors
/// [`Unreadable`] for what is not an event: not JSON, not an object, or an object that says neither `Type` nor `Action`.
pub fn event(engine: &Arc<str>, line: &[u8]) -> Result<Event, Unreadable> {
    event_received(engine, line, Timestamp::now)
}

/// Reads one line that was received earlier: that is the time of an event that says none.
///
/// # Errors
/// As [`event`].
pub fn event_received(
    engine: &Arc<str>,
    line: &[u8],
    received: impl FnOnce() -> Timestamp,
) -> Result<Event, Unreadable> {
    let lossy;
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(_) => {
            lossy = String::from_utf8_lossy(line);
            &lossy
        }
    };
    let raw = match serde_json::from_str::<Raw>(text) {
        // To the parser an array is as good as an object.
        Ok(raw) if text.trim_ascii_start().starts_with('{') && !raw.kind.0.is_empty() && !raw.action.0.is_empty() => {
            raw
        }
        _ => tolerant::read(text).map_err(|reason| Unreadable::new(line.len() as u64, line, reason))?,
    };
    Ok(raw.into_event(engine, received))
}

impl Unreadable {
    /// Describes a line by its length and its first bytes.
    #[must_use]
    pub fn new(bytes: u64, start: &[u8], reason: impl Into<String>) -> Self {
        // A character has at most four bytes.
        let start = String::from_utf8_lossy(start.get(..EXCERPT * 4).unwrap_or(start));
        let excerpt = start.chars().take(EXCERPT).flat_map(visible).collect();
        Self { bytes, excerpt, reason: reason.into() }
    }

    /// The own event `gap` that tells it, so that nothing is hidden.
    #[must_use]
    pub fn into_event(self, engine: Arc<str>) -> Event {
        let attributes = [
            ("bytes", self.bytes.to_string()),
            ("error", self.reason),
            ("excerpt", self.excerpt),
            ("reason", "unreadable line".to_owned()),
        ];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
        Event::own(engine, "gap", nanos(Timestamp::now()), attributes)
    }
}

/// A character as it may be shown anywhere: control characters and those that turn the direction of text are escaped.
fn visible(c: char) -> impl Iterator<Item = char> {
    let hidden =
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escaped = hidden.then(|| c.escape_default());
    let plain = (!hidden).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// An event as it is written on the wire.
#[derive(Debug, Default, Deserialize)]
struct Raw {
    #[serde(rename = "Type", default)]
    kind: Text,
    #[serde(rename = "Action", default)]
    action: Text,
    #[serde(rename = "Actor", default)]
    actor: Actor,
    #[serde(default)]
    scope: Text,
    #[serde(default)]
    time: Option<i64>,
    #[serde(rename = "timeNano", default)]
    time_nano: Option<i64>,
    /// Podman's; Docker writes it behind the action.
    #[serde(rename = "HealthStatus", default)]
    health: Text,
}

#[derive(Debug, Default, Deserialize)]
struct Actor {
    #[serde(rename = "ID", default)]
    id: Text,
    #[serde(rename = "Attributes", default)]
    attributes: Pairs,
}

impl Raw {
    fn into_event(self, engine: &Arc<str>, received: impl FnOnce() -> Timestamp) -> Event {
        let mut action = self.action.0;
        let mut detail = String::new();
        if let Some(at) = action.find(": ") {
            action[at + 2..].clone_into(&mut detail);
            action.truncate(at);
        }
        let mut attributes = self.actor.attributes.0;
        if !attributes.is_sorted() {
            attributes.sort();
        }
        let scope = if self.scope.0.is_empty() { "local".to_owned() } else { self.scope.0 };
        let mut event = Event {
            engine: Arc::clone(engine),
            kind: self.kind.0,
            action,
            detail,
            actor_id: self.actor.id.0,
            scope,
            time_nanos: time(self.time_nano, self.time).unwrap_or_else(|| nanos(received())),
            attributes,
            facts: Vec::new(),
        };
        podman::translate(&mut event, self.health.0);
        event
    }
}

/// The time of an event: its nanoseconds, else its seconds. An engine's clock may be wrong by years and is believed; a time
/// before 1970 or after 2262 is no time.
fn time(nano: Option<i64>, seconds: Option<i64>) -> Option<i64> {
    let usable = |nanos: &i64| *nanos > 0;
    nano.filter(usable).or_else(|| seconds.and_then(|seconds| seconds.checked_mul(1_000_000_000)).filter(usable))
}

/// A text; numbers and truth values become one.
#[derive(Debug, Default)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AnyText;
        impl Visitor<'_> for AnyText {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
        }
        from.deserialize_any(AnyText)
    }
}

/// Names and values in the order in which they stand; `null` is none.
#[derive(Debug, Default)]
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AnyPairs;
        impl<'de> Visitor<'de> for AnyPairs {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names and values")
            }

            fn visit_unit<E>(self) -> Result<Pairs, E> {
                Ok(Pairs::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                // Compose alone sets about ten labels.
                let mut pairs = Vec::with_capacity(16);
                while let Some((name, value)) = map.next_entry::<String, Text>()? {
                    pairs.push((name, value.0));
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_any(AnyPairs)
    }
}
