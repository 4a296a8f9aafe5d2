//! The events between the first and the last ones of a large batch, as lines of JSON for an attachment.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::event::Event;

/// Most bytes kept for one batch: about 500 events. A mail has room for it beside its text.
pub(super) const MOST: usize = 256 << 10;

/// An event as the bundled formatter `json` writes it: in the field names of the engine API.
#[derive(Serialize)]
struct Line<'a> {
    engine: &'a str,
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "Action")]
    action: &'a str,
    #[serde(rename = "Actor")]
    actor: Actor<'a>,
    scope: &'a str,
    #[serde(rename = "timeNano")]
    time_nanos: i64,
    facts: Pairs<'a>,
}

#[derive(Serialize)]
struct Actor<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Attributes")]
    attributes: Pairs<'a>,
}

/// Names and values as an object.
struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// One line, with its end.
pub(super) fn line(event: &Event) -> String {
    let action = match event.detail.as_str() {
        "" => Cow::Borrowed(event.action.as_str()),
        detail => Cow::Owned(format!("{}: {detail}", event.action)),
    };
    let line = Line {
        engine: &event.engine,
        kind: &event.kind,
        action: &action,
        actor: Actor { id: &event.actor_id, attributes: Pairs(event.attributes.iter().collect()) },
        scope: &event.scope,
        time_nanos: event.time_nanos,
        facts: Pairs(event.facts.iter().map(|(fact, value)| (fact.name(), value.as_str())).collect()),
    };
    // Strings and maps of strings can always be written.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}
