//! One line of an engine becomes an [`Event`], in Docker's words whichever engine sent it.
//!
//! Reads what `GET /events` of Docker and Podman sends and what `docker events --format '{{json .}}'` prints. A field of an
//! unexpected type costs the field, not the event. The old fields `status`, `id` and `from` are read only where `Type` is
//! missing: API 1.52 no longer sends them.

mod podman;
#[cfg(test)]
mod tests;
mod tolerant;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::event::{Attributes, Event, nanos};
use crate::text;

/// How many characters of a line that cannot be read are shown.
const EXCERPT: usize = 200;
/// Room for pairs and bytes of attributes, which grows where an event has more. Queues count it.
const USUAL: (usize, usize) = (8, 192);

/// A line that is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable line of {bytes} bytes: {reason}: {excerpt}")]
pub struct Unreadable {
    /// Length of the line.
    pub bytes: u64,
    /// Its first 200 characters, control and invisible ones escaped.
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
        let attributes = attributes.into_iter().collect();
        Event::own(engine, "gap", nanos(Timestamp::now()), attributes)
    }
}

/// A character as it may be shown anywhere: what must not be shown is escaped, so that it can still be told which it was.
fn visible(c: char) -> impl Iterator<Item = char> {
    let hidden = text::is_hidden(c) || matches!(c, '\n' | '\r' | '\t');
    let escaped = hidden.then(|| c.escape_default());
    let plain = (!hidden).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// An event as it is written on the wire.
#[derive(Debug, Default, Deserialize)]
struct Raw<'a> {
    #[serde(rename = "Type", default, borrow)]
    kind: Text<'a>,
    #[serde(rename = "Action", default, borrow)]
    action: Text<'a>,
    #[serde(rename = "Actor", default, borrow)]
    actor: Actor<'a>,
    #[serde(default, borrow)]
    scope: Text<'a>,
    #[serde(default)]
    time: Option<i64>,
    #[serde(rename = "timeNano", default)]
    time_nano: Option<i64>,
    /// Podman's; Docker writes it behind the action.
    #[serde(rename = "HealthStatus", default, borrow)]
    health: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Actor<'a> {
    #[serde(rename = "ID", default, borrow)]
    id: Text<'a>,
    #[serde(rename = "Attributes", default)]
    attributes: Pairs,
}

impl Raw<'_> {
    fn into_event(self, engine: &Arc<str>, received: impl FnOnce() -> Timestamp) -> Event {
        let (action, detail) = self.action.0.split_once(": ").unwrap_or((&self.action.0, ""));
        let mut attributes = self.actor.attributes.0;
        attributes.sort();
        let scope = if self.scope.0.is_empty() { "local" } else { &*self.scope.0 };
        let mut event = Event {
            engine: Arc::clone(engine),
            kind: self.kind.0.into(),
            action: action.into(),
            detail: detail.into(),
            actor_id: self.actor.id.0.into_owned(),
            scope: scope.into(),
            time_nanos: time(self.time_nano, self.time).unwrap_or_else(|| nanos(received())),
            attributes,
            facts: Vec::new(),
        };
        podman::translate(&mut event, &self.health.0);
        event
    }
}

/// The time of an event: its nanoseconds, else its seconds. An engine's clock may be wrong by years and is believed; a time
/// before 1970 or after 2262 is no time.
fn time(nano: Option<i64>, seconds: Option<i64>) -> Option<i64> {
    let usable = |nanos: &i64| *nanos > 0;
    nano.filter(usable).or_else(|| seconds.and_then(|seconds| seconds.checked_mul(1_000_000_000)).filter(usable))
}

/// A text, not copied where it stands in the line as it is; numbers and truth values become one.
#[derive(Debug, Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AnyText;
        impl<'de> Visitor<'de> for AnyText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(text.to_owned().into()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Text<'de>, E> {
                Ok(Text(value.to_string().into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Text<'de>, E> {
                Ok(Text(value.to_string().into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Text<'de>, E> {
                Ok(Text(value.to_string().into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Text<'de>, E> {
                Ok(Text(value.to_string().into()))
            }

            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
        }
        from.deserialize_any(AnyText)
    }
}

/// Names and values in the order in which they stand; `null` is none.
#[derive(Debug, Default)]
struct Pairs(Attributes);

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
                let (count, bytes) = USUAL;
                let mut pairs = Attributes::with_capacity(count, bytes);
                while let Some((name, value)) = map.next_entry::<Text<'_>, Text<'_>>()? {
                    pairs.push(&name.0, &value.0);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_any(AnyPairs)
    }
}
