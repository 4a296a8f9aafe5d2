//! The slow way to read a line: for fields of unexpected types, the events of engines older than 2016, and what
//! `podman events --format json` prints.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Actor, Pairs, Raw, Text, nanos};
use crate::event::Attributes;

pub(super) fn read(text: &str) -> Result<Raw<'static>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(mut object) = value else {
        return Err("not a JSON object".to_owned());
    };
    let said = |name: &str| object.get(name).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    let (kind, action) = (said("Type"), said("Action"));
    if !action && said("Status") {
        return Ok(podman(&mut object));
    }
    if !kind && said("status") {
        return Ok(legacy(&mut object));
    }
    if !kind && !action {
        return Err("neither `Type` nor `Action`".to_owned());
    }
    let mut actor = match object.remove("Actor") {
        Some(Value::Object(actor)) => actor,
        _ => Map::new(),
    };
    Ok(Raw {
        kind: kind_of(&mut object),
        action: take(&mut object, "Action"),
        actor: Actor { id: take(&mut actor, "ID"), attributes: Pairs(pairs(actor.remove("Attributes"))) },
        scope: take(&mut object, "scope"),
        time: number(object.get("time")),
        time_nano: number(object.get("timeNano")),
        health: take(&mut object, "HealthStatus"),
    })
}

/// What an event is about; `unknown` where it does not say.
fn kind_of(object: &mut Map<String, Value>) -> Text<'static> {
    match object.remove("Type") {
        Some(Value::String(kind)) if !kind.is_empty() => Text(kind.into()),
        _ => Text("unknown".into()),
    }
}

/// Before API 1.22 an event was `status`, `id`, `from` and `time`, and always of a container or an image.
fn legacy(object: &mut Map<String, Value>) -> Raw<'static> {
    let from = take(object, "from");
    let kind = if from.0.is_empty() { "image" } else { "container" };
    let image = Some(("image", from.0)).filter(|(_, image)| !image.is_empty());
    Raw {
        kind: Text(kind.into()),
        action: take(object, "status"),
        actor: Actor { id: take(object, "id"), attributes: Pairs(image.into_iter().collect()) },
        time: number(object.get("time")),
        time_nano: number(object.get("timeNano")),
        ..Raw::default()
    }
}

/// Podman's own command prints other names than its API sends.
fn podman(object: &mut Map<String, Value>) -> Raw<'static> {
    let mut attributes = pairs(object.remove("Attributes"));
    let named = [("containerExitCode", "ContainerExitCode"), ("image", "Image"), ("name", "Name")];
    for (name, field) in named {
        let value = take(object, field).0;
        if !value.is_empty() && attributes.get(name).is_none() {
            attributes.push(name, &value);
        }
    }
    let written = object.get("Time").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
    Raw {
        kind: kind_of(object),
        action: take(object, "Status"),
        actor: Actor { id: take(object, "ID"), attributes: Pairs(attributes) },
        time: number(object.get("time")),
        time_nano: number(object.get("timeNano")).or(written.map(nanos)),
        health: take(object, "HealthStatus"),
        ..Raw::default()
    }
}

fn take(object: &mut Map<String, Value>, name: &str) -> Text<'static> {
    Text(object.remove(name).map(text).unwrap_or_default().into())
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn pairs(value: Option<Value>) -> Attributes {
    match value {
        Some(Value::Object(object)) => object.into_iter().map(|(name, value)| (name, text(value))).collect(),
        _ => Attributes::default(),
    }
}

/// A whole number, also where it is written as a text or with a fraction; none where it does not fit.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range; the fraction is meant to go")]
fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64().or_else(|| {
            // 2^63 is the first that does not fit.
            number.as_f64().filter(|float| float.abs() < 9_223_372_036_854_775_808.0).map(|float| float as i64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
