use dockbell_plugin::{Batch, Event, Formatter, Notification};
use serde_json::{Value, json};

use super::Json;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn batch() -> Batch {
    let event = Event {
        engine: "local".into(),
        kind: "container".into(),
        action: "health_status".into(),
        detail: "unhealthy".into(),
        actor_id: "3f2a".into(),
        scope: "local".into(),
        time_nanos: 1_795_331_484_283_292_298,
        attributes: pairs(&[
            ("image", "nginx:1"),
            ("label", "two\nlines \"quoted\" \u{1b}[0m </script>"),
            ("name", "web-1"),
        ]),
        facts: pairs(&[("identity", "shop/web")]),
    };
    Batch {
        route: "default".into(),
        group: "shop/web".into(),
        phase: "digest".into(),
        since_nanos: event.time_nanos,
        until_nanos: event.time_nanos + 1,
        total: 3,
        counts: vec![("container health_status".into(), 2), ("container die".into(), 1)],
        events: vec![event],
        notes: vec!["a gap".into()],
    }
}

fn format(config: &str, batch: &Batch) -> Notification {
    Json::configure(config).unwrap().format(batch).unwrap().remove(0)
}

#[test]
fn a_batch_has_the_engine_apis_field_names() {
    let notification = format("{}", &batch());
    let content = &notification.alternatives[0].content;
    let parsed: Value = serde_json::from_str(content).unwrap();
    let expected = json!({
        "route": "default", "group": "shop/web", "phase": "digest",
        "since": "2026-11-22T07:11:24.283292298Z", "until": "2026-11-22T07:11:24.283292299Z",
        "total": 3, "counts": {"container health_status": 2, "container die": 1},
        "events": [{
            "engine": "local", "Type": "container", "Action": "health_status: unhealthy",
            "Actor": {"ID": "3f2a", "Attributes": {
                "image": "nginx:1", "label": "two\nlines \"quoted\" \u{1b}[0m </script>", "name": "web-1",
            }},
            "scope": "local", "time": 1_795_331_484, "timeNano": 1_795_331_484_283_292_298_i64,
            "facts": {"identity": "shop/web"},
        }],
        "notes": ["a gap"],
    });
    assert_eq!(parsed, expected);
    assert!(!content.contains(['\n', '\r', '\u{1b}']), "one line, and nothing that drives a terminal");
    let frequent_first = content.find("container health_status").unwrap() < content.find("container die").unwrap();
    assert!(frequent_first, "counts keep their order");
}

#[test]
fn json_and_plain_text_are_the_same() {
    let notification = format("{}", &batch());
    let [json, text] = notification.alternatives.as_slice() else { panic!("two alternatives") };
    assert_eq!((json.media_type.as_str(), text.media_type.as_str()), ("application/json", "text/plain"));
    assert_eq!(json.content, text.content);
}

#[test]
fn an_action_without_detail_has_no_colon() {
    let mut batch = batch();
    batch.events[0].detail.clear();
    let parsed: Value = serde_json::from_str(&format("{}", &batch).alternatives[0].content).unwrap();
    assert_eq!(parsed["events"][0]["Action"], "health_status");
}

#[test]
fn the_subject_counts() {
    let mut batch = batch();
    assert_eq!(format("{}", &batch).subject, "[local] 3 events");
    assert_eq!(format(r#"{"hostname": "web\n-host"}"#, &batch).subject, "[web -host] 3 events");
    batch.total = 1;
    assert_eq!(format("{}", &batch).subject, "[local] 1 event");
    assert_eq!(format("{}", &Batch::default()).subject, "[dockbell] 0 events");
}

#[test]
fn times_before_the_epoch_and_at_the_ends_of_the_range_are_told() {
    let mut batch = batch();
    for (nanos, seconds) in [(-1, -1), (i64::MIN, -9_223_372_037), (i64::MAX, 9_223_372_036_i64)] {
        batch.events[0].time_nanos = nanos;
        let parsed: Value = serde_json::from_str(&format("{}", &batch).alternatives[0].content).unwrap();
        assert_eq!(parsed["events"][0]["time"], seconds);
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for (config, begins) in [
        ("", "the configuration is not JSON"),
        ("[]", "the configuration is not a table"),
        (r#"{"host": "a"}"#, "host: unknown key\nhint: the only key here is `hostname`"),
        (r#"{"hostname": 3}"#, "hostname: a string is needed, not 3"),
    ] {
        let refusal = Json::configure(config).err().unwrap();
        assert!(refusal.starts_with(begins), "{config}: {refusal}");
    }
}
