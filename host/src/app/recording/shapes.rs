//! Events in other forms than the engine's own: `docker compose events --json`, and `docker events` or `podman events` without
//! `--format`.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::engine::parse::{self, Unreadable};
use crate::event::{Event, nanos, vocabulary};

/// Reads a whole value or a line; a `null` in a list is no event and no fault.
pub(super) fn events(engine: &Arc<str>, text: &[u8], each: &mut impl FnMut(Result<Event, Unreadable>)) {
    if text.starts_with(b"[")
        && let Ok(Value::Array(values)) = serde_json::from_slice(text)
    {
        let values = values.iter().filter(|value| !value.is_null());
        return values.for_each(|value| events(engine, value.to_string().as_bytes(), each));
    }
    each(parse::event(engine, text).or_else(|unreadable| {
        let other = std::str::from_utf8(text).ok().and_then(|text| compose(text).or_else(|| line(text)));
        // What is not an event in the engine's form either is shown as it was.
        other.and_then(|event| parse::event(engine, event.to_string().as_bytes()).ok()).ok_or(unreadable)
    }));
}

/// Reads what `docker compose events --json` prints.
fn compose(text: &str) -> Option<Value> {
    let Value::Object(mut event) = serde_json::from_str(text).ok()? else { return None };
    let said = |name: &str| event.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let (kind, action, service) = (said("type")?, said("action")?, said("service"));
    // Versions before 2 wrote local time without an offset; a time that is not known is that of the replay.
    let time = said("time").and_then(|time| time.parse().ok());
    let id = said("id").unwrap_or_default();
    let mut attributes = match event.remove("attributes") {
        Some(Value::Object(attributes)) => attributes,
        _ => Map::new(),
    };
    if let Some(service) = service {
        attributes.insert("com.docker.compose.service".to_owned(), service.into());
    }
    Some(docker(&kind, &action, &id, attributes, time))
}

/// Reads a line for people: time, kind, action, id and, in parentheses, the attributes.
fn line(text: &str) -> Option<Value> {
    let (time, rest) = time(text)?;
    let (kind, rest) = rest.split_once(' ')?;
    // A command may hold parentheses, too.
    let has_pair = |at: usize| rest[at..].split(')').next().is_some_and(|inside| inside.contains('='));
    let begin = rest.match_indices(" (").find(|(at, _)| has_pair(*at) && rest.ends_with(')'));
    let (head, listed) = match begin {
        Some((at, _)) => (&rest[..at], rest[at..].trim_start_matches(" (").trim_end_matches(')')),
        None => (rest, ""),
    };
    let (action, id) = head.rsplit_once(' ').unwrap_or((head, ""));
    if !vocabulary::kinds().any(|known| known == kind) {
        return None;
    }
    let mut attributes: Vec<(String, String)> = Vec::new();
    for part in listed.split(", ").filter(|part| !part.is_empty()) {
        match (part.split_once('='), attributes.last_mut()) {
            (Some((name, value)), _) => attributes.push((name.to_owned(), value.to_owned())),
            // A value with a comma in it.
            (None, Some((_, value))) => value.extend([", ", part]),
            (None, None) => return None,
        }
    }
    let attributes = attributes.into_iter().map(|(name, value)| (name, value.into())).collect();
    Some(docker(kind, action, id, attributes, Some(time)))
}

/// Reads the time at the start of a line: `2026-11-20T13:00:00.5+01:00`, or Podman's `2026-11-20 13:00:00.5 +0100 CET`.
fn time(line: &str) -> Option<(Timestamp, &str)> {
    let (first, rest) = line.split_once(' ')?;
    if let Ok(time) = first.parse() {
        return Some((time, rest));
    }
    let mut parts = rest.splitn(4, ' ');
    let (clock, offset, _zone, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some((format!("{first}T{clock}{offset}").parse().ok()?, rest))
}

/// Returns an event as the engine writes it.
fn docker(kind: &str, action: &str, id: &str, attributes: Map<String, Value>, time: Option<Timestamp>) -> Value {
    let nanos = time.map(nanos);
    json!({ "Type": kind, "Action": action, "Actor": { "ID": id, "Attributes": attributes }, "timeNano": nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Event, Unreadable>> {
        let mut all = Vec::new();
        events(&Arc::from("local"), text.as_bytes(), &mut |event| all.push(event));
        all
    }

    fn one(text: &str) -> Event {
        let mut all = read(text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).unwrap()
    }

    #[test]
    fn compose_writes_events_in_a_form_of_its_own() {
        let event = one(
            r#"{"time": "2026-11-20T13:10:00.000000001Z", "type": "container", "service": "web", "id": "425c", "action": "health_status: unhealthy", "attributes": {"image": "shop/web:9", "name": "shop-web-1"}}"#,
        );
        assert_eq!(
            (event.kind.as_str(), event.action.as_str(), event.detail.as_str()),
            ("container", "health_status", "unhealthy")
        );
        assert_eq!((event.actor_id.as_str(), event.time_nanos), ("425c", 1_795_180_200_000_000_001));
        assert_eq!(
            (event.attribute("name"), event.attribute("com.docker.compose.service")),
            (Some("shop-web-1"), Some("web"))
        );
    }

    #[test]
    fn lines_for_people_are_read() {
        let event = one(
            "2026-11-20T14:10:00.000000001+01:00 container die 425c (exitCode=137, image=shop/web:9, name=shop-web-1, note=a, b)",
        );
        assert_eq!(
            (event.action.as_str(), event.actor_id.as_str(), event.time_nanos),
            ("die", "425c", 1_795_180_200_000_000_001)
        );
        assert_eq!((event.attribute("exitCode"), event.attribute("note")), (Some("137"), Some("a, b")));
        let event = one("2026-11-20T13:10:00Z container exec_create: sh -c (true) 425c (name=web)");
        assert_eq!(
            (event.action.as_str(), event.detail.as_str(), event.actor_id.as_str()),
            ("exec_create", "sh -c (true)", "425c")
        );
        let event = one("2026-11-20 14:10:00.5 +0100 CET container died 425c (image=shop/web:9, name=web)");
        assert_eq!((event.action.as_str(), event.time_nanos), ("die", 1_795_180_200_500_000_000));
        assert_eq!(one("2026-11-20T13:10:00Z volume prune").action, "prune");
    }

    #[test]
    fn a_list_is_its_events_and_a_null_in_it_is_none() {
        let list = r#"[{"Type":"container","Action":"start"},null,{"Type":"image","Action":"pull"}]"#;
        assert_eq!(
            read(list).into_iter().map(Result::unwrap).map(|event| event.action).collect::<Vec<_>>(),
            ["start", "pull"]
        );
    }

    #[test]
    fn what_is_none_of_these_is_shown_as_it_was() {
        for text in [
            "hello",
            "2026-11-20T13:10:00Z GET /index.html 200",
            "2026-11-20T13:10:00Z info container started",
            "{\"a\":1}",
            "[1]",
            "CONTAINER ID   IMAGE",
        ] {
            assert!(read(text).remove(0).is_err(), "{text}");
        }
    }
}
