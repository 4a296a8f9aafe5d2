use super::*;

fn read(line: &str) -> Event {
    event(&Arc::from("local"), line.as_bytes()).unwrap()
}

fn attributes(event: &Event) -> Vec<(&str, &str)> {
    event.attributes.iter().collect()
}

/// As Docker 20.10 printed it.
const DIE: &str = r#"{"status":"die","id":"old","from":"old:1","Type":"container","Action":"die","Actor":{"ID":"0123abc","Attributes":{"exitCode":"3","image":"hello:1","name":"web-1"}},"scope":"local","time":1795331484,"timeNano":1795331484283292298}"#;

#[test]
fn a_line_of_docker_becomes_an_event_and_the_old_fields_are_not_read() {
    let event = read(DIE);
    assert_eq!(&*event.engine, "local");
    assert_eq!((event.kind.as_str(), event.action.as_str(), event.detail.as_str()), ("container", "die", ""));
    assert_eq!((event.actor_id.as_str(), event.scope.as_str()), ("0123abc", "local"));
    assert_eq!(event.time_nanos, 1_795_331_484_283_292_298);
    assert_eq!(attributes(&event), [("exitCode", "3"), ("image", "hello:1"), ("name", "web-1")]);
    assert!(event.facts.is_empty());
}

#[test]
fn with_and_without_the_old_fields_it_is_the_same_event() {
    let new = DIE.replace(r#""status":"die","id":"old","from":"old:1","#, "");
    assert_ne!(new, DIE);
    assert_eq!(read(&new), read(DIE));
}

#[test]
fn what_follows_the_first_colon_and_space_is_the_detail() {
    let split = |action: &str| {
        let event = read(&format!(r#"{{"Type":"container","Action":"{action}","timeNano":5}}"#));
        (event.action.into(), event.detail.into())
    };
    let pair = |action: &str, detail: &str| (action.to_owned(), detail.to_owned());
    assert_eq!(split("health_status: unhealthy"), pair("health_status", "unhealthy"));
    assert_eq!(split("exec_create: sh -c echo: hi"), pair("exec_create", "sh -c echo: hi"));
    assert_eq!(split("exec_start: "), pair("exec_start", ""));
    assert_eq!(split("a:b"), pair("a:b", ""));
}

#[test]
fn fields_of_unexpected_types_cost_no_event() {
    let event = read(
        r#"{"Type":"container","Action":"die","Actor":{"ID":7,"Attributes":{"a":1,"b":true,"c":null,"d":1.5,"e":{"f":[1]},"g":-2}},
        "scope":null,"time":"1795331484","timeNano":"1795331484283292298"}"#,
    );
    assert_eq!(event.actor_id, "7");
    assert_eq!(event.scope, "local");
    assert_eq!(event.time_nanos, 1_795_331_484_283_292_298);
    let expected = [("a", "1"), ("b", "true"), ("c", ""), ("d", "1.5"), ("e", r#"{"f":[1]}"#), ("g", "-2")];
    assert_eq!(attributes(&event), expected);
    for actor in ["null", "[]", "3", r#"{"Attributes":null}"#, r#"{"Attributes":[]}"#] {
        let event = read(&format!(r#"{{"Type":"image","Action":"prune","Actor":{actor},"timeNano":5}}"#));
        assert_eq!((event.kind.as_str(), event.attributes.len()), ("image", 0), "{actor}");
    }
}

#[test]
fn attributes_are_sorted_by_name() {
    let event = read(r#"{"Type":"container","Action":"die","Actor":{"Attributes":{"name":"n","a":"1","image":"i"}}}"#);
    assert_eq!(attributes(&event), [("a", "1"), ("image", "i"), ("name", "n")]);
}

#[test]
fn a_time_that_is_none_is_taken_from_the_seconds_and_else_is_now() {
    let time = |fields: &str| read(&format!(r#"{{"Type":"container","Action":"die"{fields}}}"#)).time_nanos;
    let second = 1_795_331_484_000_000_000;
    assert_eq!(time(r#","time":1795331484"#), second);
    assert_eq!(time(r#","time":1795331484,"timeNano":-5"#), second);
    assert_eq!(time(r#","time":1795331484.9,"timeNano":null"#), second);
    assert_eq!(time(r#","time":1795331484,"timeNano":99999999999999999999999"#), second);
    assert_eq!(time(r#","timeNano":9223372036854775807"#), i64::MAX, "an engine's clock is believed");
    for none in
        ["", r#","time":-1"#, r#","time":99999999999999999"#, r#","time":1e300"#, r#","time":"soon""#, r#","time":0"#]
    {
        let now = nanos(Timestamp::now());
        assert!((now - time(none)).abs() < 60_000_000_000, "{none}");
    }
}

#[test]
fn what_is_no_event_is_refused_with_a_reason_and_an_excerpt() {
    let refused = |line: &[u8]| event(&Arc::from("local"), line).unwrap_err();
    assert!(refused(br#"{"Type":"container","Action":"di"#).reason.contains("EOF"), "truncated");
    assert_eq!(refused(b"[1,2]").reason, "not a JSON object");
    assert_eq!(refused(br#"["container","die"]"#).reason, "not a JSON object");
    assert_eq!(refused(br#"{"message":"no"}"#).reason, "neither `Type` nor `Action`");
    let refusal = refused("\u{1b}[31m\u{202e}red\r\n\0".as_bytes());
    assert_eq!(refusal.excerpt, r"\u{1b}[31m\u{202e}red\r\n\u{0}");
    let refusal = refused("ä".repeat(1000).as_bytes());
    assert_eq!((refusal.bytes, refusal.excerpt.chars().count()), (2000, 200));
    let gap = refusal.into_event(Arc::from("local"));
    assert_eq!((gap.kind.as_str(), gap.action.as_str()), ("dockbell", "gap"));
    assert_eq!(gap.attribute("reason"), Some("unreadable line"));
    assert!(gap.attributes.iter().is_sorted());
}

#[test]
fn half_an_event_is_still_told() {
    assert_eq!(read(r#"{"Type":"container"}"#).action, "");
    for line in [
        r#"{"Action":"die","Actor":{"ID":"a"}}"#,
        r#"{"Status":"died","ID":"a"}"#,
        r#"{"Type":"","Status":"died","ID":"a"}"#,
    ] {
        assert_eq!(read(line).kind, "unknown", "{line}");
    }
}

#[test]
fn events_of_engines_before_2016_are_read() {
    let event = read(r#"{"status":"die","id":"abc","from":"nginx:1","time":1461943101}"#);
    assert_eq!((event.kind.as_str(), event.action.as_str(), event.actor_id.as_str()), ("container", "die", "abc"));
    assert_eq!(event.attribute("image"), Some("nginx:1"));
    assert_eq!(read(r#"{"status":"pull","id":"nginx:1","time":1461943101}"#).kind, "image");
}

#[test]
fn what_podman_prints_itself_is_read() {
    let event = read(
        r#"{"ContainerExitCode":3,"ID":"abc","Image":"localhost/a:1","Name":"web-1","Status":"died",
        "Time":"2026-03-01T12:00:00.5+01:00","Type":"container","Attributes":{"label":"x"}}"#,
    );
    assert_eq!((event.action.as_str(), event.actor_id.as_str()), ("die", "abc"));
    assert_eq!(event.time_nanos, 1_772_362_800_500_000_000);
    assert_eq!(event.attribute("name"), Some("web-1"));
    assert_eq!(event.attribute("exitCode"), Some("3"));
    assert!(event.attributes.iter().is_sorted());
}

#[test]
fn the_words_of_podman_are_translated_and_those_of_swarm_are_not() {
    let said = |kind: &str, action: &str, scope: &str| {
        read(&format!(r#"{{"Type":"{kind}","Action":"{action}","scope":"{scope}","timeNano":5}}"#)).action
    };
    assert_eq!(said("container", "died", "local"), "die");
    assert_eq!(said("container", "remove", "local"), "destroy");
    assert_eq!(said("image", "remove", "local"), "delete");
    assert_eq!(said("network", "remove", "swarm"), "remove");
    assert_eq!(said("secret", "remove", "swarm"), "remove");
    assert_eq!(said("container", "cleanup", "local"), "cleanup");
}

#[test]
fn a_health_state_is_found_wherever_podman_writes_it() {
    let state =
        |fields: &str| read(&format!(r#"{{"Type":"container","Action":"health_status","timeNano":5{fields}}}"#)).detail;
    assert_eq!(state(r#","HealthStatus":"unhealthy""#), "unhealthy");
    assert_eq!(state(r#","Actor":{"Attributes":{"health_status":"healthy"}}"#), "healthy");
    assert_eq!(state(""), "");
}
