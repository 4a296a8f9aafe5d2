//! What the JSON looks like.

use dockbell_plugin::time::{Offset, Time};
use dockbell_plugin::{Batch, Event};
use serde::{Serialize, Serializer};

/// The batch as one line.
pub(crate) fn json(batch: &Batch) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Root {
        route: &batch.route,
        group: &batch.group,
        phase: &batch.phase,
        since: Time::at(batch.since_nanos, Offset::default()).rfc3339(),
        until: Time::at(batch.until_nanos, Offset::default()).rfc3339(),
        total: batch.total,
        counts: Pairs(&batch.counts),
        events: batch.events.iter().map(of_event).collect(),
        notes: &batch.notes,
    })
}

fn of_event(event: &Event) -> Message<'_> {
    Message {
        engine: &event.engine,
        kind: &event.kind,
        action: match event.detail.as_str() {
            "" => event.action.clone(),
            detail => format!("{}: {detail}", event.action),
        },
        actor: Actor { id: &event.actor_id, attributes: Pairs(&event.attributes) },
        scope: &event.scope,
        time: event.time_nanos.div_euclid(1_000_000_000),
        time_nano: event.time_nanos,
        facts: Pairs(&event.facts),
    }
}

#[derive(Serialize)]
struct Root<'a> {
    route: &'a str,
    group: &'a str,
    phase: &'a str,
    since: String,
    until: String,
    total: u32,
    counts: Pairs<'a, u32>,
    events: Vec<Message<'a>>,
    notes: &'a [String],
}

/// An event in the engine API's names, which are not of one style.
#[derive(Serialize)]
struct Message<'a> {
    engine: &'a str,
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "Action")]
    action: String,
    #[serde(rename = "Actor")]
    actor: Actor<'a>,
    scope: &'a str,
    time: i64,
    #[serde(rename = "timeNano")]
    time_nano: i64,
    facts: Pairs<'a, String>,
}

#[derive(Serialize)]
struct Actor<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Attributes")]
    attributes: Pairs<'a, String>,
}

/// Names and values as an object, in their order.
struct Pairs<'a, V>(&'a [(String, V)]);

impl<V: Serialize> Serialize for Pairs<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
