//! What single events say, and how many of them fit a subject.

use super::*;

/// The entry of one event in the subject, and the mail's severity.
fn entry(event: Event) -> (String, String) {
    let mail = mail("{}", &batch("first", vec![event]));
    let subject = mail.subject.strip_prefix("[local] ").unwrap_or_else(|| panic!("{}", mail.subject)).to_owned();
    (subject, severity(&mail).to_owned())
}

/// Action, facts, entry, severity.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

#[test]
fn a_container_event_is_told_in_words_where_dockbell_knows_more() {
    let cases: &[Case<'_>] = &[
        ("start", &[], "web start", "info"),
        ("start", &[("recovered-after", "59s")], "web start (recovered after 59s)", "info"),
        ("die", &[("cause", "crashed"), ("exit-code", "1")], "web crashed (exit 1)", "error"),
        ("die", &[("cause", "crashed")], "web crashed", "error"),
        (
            "die",
            &[("cause", "crashed"), ("exit-code", "1"), ("looping", "true")],
            "web keeps crashing (exit 1)",
            "error",
        ),
        ("die", &[("cause", "oom"), ("exit-code", "137")], "web out of memory", "error"),
        ("die", &[("cause", "oom"), ("looping", "true")], "web keeps running out of memory", "error"),
        ("die", &[("cause", "stopped"), ("exit-code", "143")], "web was stopped", "info"),
        ("die", &[("cause", "restarted"), ("exit-code", "143")], "web was restarted", "info"),
        ("die", &[("cause", "killed"), ("signal", "9")], "web was killed (SIGKILL)", "warning"),
        ("die", &[("cause", "killed")], "web was killed", "warning"),
        ("die", &[("cause", "finished"), ("exit-code", "0")], "web finished", "info"),
        ("die", &[("cause", "vanished"), ("exit-code", "2")], "web die, vanished (exit 2)", "warning"),
        ("die", &[("exit-code", "0")], "web die (exit 0)", "info"),
        ("die", &[("exit-code", "137")], "web die (exit 137)", "error"),
        ("die", &[], "web die", "warning"),
        ("oom", &[], "web hit its memory limit", "warning"),
        ("kill", &[("signal", "9")], "web kill (SIGKILL)", "warning"),
        ("kill", &[("signal", "15")], "web kill (SIGTERM)", "info"),
        ("kill", &[("signal", "SIGHUP")], "web kill (SIGHUP)", "info"),
        ("kill", &[("signal", "64")], "web kill (signal 64)", "warning"),
        ("kill", &[], "web kill", "warning"),
        ("health_status: unhealthy", &[], "web is unhealthy", "error"),
        ("health_status: healthy", &[], "web is healthy", "info"),
        ("health_status: healthy", &[("recovered-after", "90000s")], "web is healthy (recovered after 1d 1h)", "info"),
        ("health_status: starting", &[], "web health_status (starting)", "info"),
        ("exec_die", &[("exit-code", "1")], "web exec_die (exit 1)", "info"),
        ("destroy", &[], "web destroy", "info"),
        ("pull-error", &[], "web could not be pulled", "warning"),
        ("something_new: with words", &[], "web something_new (with words)", "info"),
    ];
    for (action, facts, subject, severity) in cases {
        let told = entry(container(0, "web", "web:1", action, facts));
        assert_eq!(told, ((*subject).to_owned(), (*severity).to_owned()), "{action} {facts:?}");
    }
}

#[test]
fn what_the_engine_says_counts_where_dockbell_says_nothing() {
    for (attribute, subject) in [("exitCode", "web die (exit 3)"), ("containerExitCode", "web die (exit 3)")] {
        let mut event = container(0, "web", "web:1", "die", &[]);
        event.attributes.push((attribute.into(), "3".into()));
        assert_eq!(entry(event).0, subject);
    }
    let mut forged = container(0, "web", "web:1", "die", &[("cause", "crashed"), ("exit-code", "137")]);
    forged.attributes.extend(pairs(&[("exitCode", "0"), ("cause", "finished")]));
    assert_eq!(entry(forged).0, "web crashed (exit 137)");
}

#[test]
fn other_things_than_containers_are_named_with_their_kind() {
    let event = |kind: &str, action: &str, id: &str, attributes| Event {
        kind: kind.into(),
        action: action.into(),
        actor_id: id.into(),
        attributes,
        engine: "local".into(),
        ..Event::default()
    };
    for (event, subject) in [
        (event("network", "connect", "f00", pairs(&[("name", "bridge")])), "network bridge connect"),
        (event("volume", "mount", "shop_database_data", vec![]), "volume shop_database_data mount"),
        (event("image", "pull", "nginx:1.27", pairs(&[("name", "nginx")])), "image nginx pull"),
        (event("image", "delete", &format!("sha256:{}", "ab".repeat(32)), vec![]), "image abababababab delete"),
        (event("daemon", "reload", "", vec![]), "daemon (no name) reload"),
    ] {
        assert_eq!(entry(event).0, subject);
    }
}

#[test]
fn dockbells_own_events_are_told_as_what_they_mean() {
    for (action, attributes, subject, severity) in [
        ("engine_lost", pairs(&[]), "engine local lost", "error"),
        ("engine_back", pairs(&[]), "engine local back", "info"),
        ("gap", pairs(&[]), "gap in the events of local", "error"),
        ("plugin_failed", pairs(&[("plugin", "trouble")]), "plugin trouble failed", "error"),
        ("plugin_failed", pairs(&[("name", "trouble")]), "plugin trouble failed", "error"),
        ("plugin_failed", pairs(&[]), "a plugin failed", "error"),
        ("plugin_recovered", pairs(&[("plugin", "trouble")]), "plugin trouble works again", "info"),
        ("reload_failed", pairs(&[("error", "no")]), "the new configuration cannot be used", "error"),
        ("reloaded", pairs(&[]), "dockbell runs a new configuration", "info"),
        ("sink_failed", pairs(&[("sink", "ops")]), "sink ops failed", "error"),
        ("dead_letter", pairs(&[("sink", "ops")]), "a message to sink ops was given up", "error"),
        ("started", pairs(&[]), "dockbell started", "info"),
        ("stopped", pairs(&[]), "dockbell stopped", "info"),
        ("something_new", pairs(&[]), "dockbell something_new", "info"),
    ] {
        let event = Event {
            kind: "dockbell".into(),
            action: action.into(),
            attributes,
            engine: "local".into(),
            ..Event::default()
        };
        assert_eq!(entry(event), (subject.to_owned(), severity.to_owned()));
    }
}

#[test]
fn the_worst_comes_first_and_equal_entries_are_one() {
    let crash = [("cause", "crashed"), ("exit-code", "1")];
    let events = vec![
        container(0, "db", "db:1", "start", &[]),
        container(1, "web", "web:1", "oom", &[]),
        container(2, "web", "web:1", "die", &crash),
        container(3, "web", "web:1", "die", &crash),
    ];
    let mail = mail("{}", &batch("digest", events));
    assert_eq!(mail.subject, "[local] 4 events: web crashed (exit 1) ×2, web hit its memory limit, db start");
    assert_eq!(severity(&mail), "error");
}

#[test]
fn a_subject_is_one_line_of_whole_entries_within_its_bounds() {
    let long = |length: usize| "n".repeat(length);
    for names in [1, 2, 3, 10, 100] {
        for length in [1, 20, 60, 5_000] {
            let events: Vec<_> =
                (0..names).map(|index| container(0, &format!("{index}-{}", long(length)), "i", "start", &[])).collect();
            for hostname in ["h".to_owned(), long(1_000)] {
                let subject =
                    mail(&format!(r#"{{"hostname": "{hostname}"}}"#), &batch("digest", events.clone())).subject;
                // The longest single entry, behind the longest host.
                assert!(subject.chars().count() <= 160, "{} characters: {subject}", subject.chars().count());
                assert!(
                    hostname.len() > 1 || names == 1 || length == 5_000 || subject.chars().count() <= 120,
                    "{subject}"
                );
                let told = subject.matches(" start").count();
                let more =
                    subject.rsplit_once(" and ").map_or(0, |(_, more)| more.trim_end_matches(" more").parse().unwrap());
                assert_eq!(told + more, names, "{subject}");
            }
        }
    }
}

#[test]
fn the_subject_names_the_engine_where_there_are_several() {
    let of = |engine: &str, name: &str| Event {
        engine: engine.into(),
        ..container(0, name, "web:1", "die", &[("cause", "crashed")])
    };
    let subject = |config: &str, events| mail(config, &batch("first", events)).subject;
    let config = r#"{"hostname": "web-1", "engine-in-subject": true}"#;
    assert_eq!(subject(config, vec![of("far", "web")]), "[web-1/far] web crashed");
    assert_eq!(
        subject(config, vec![of("far", "web"), of("far", "db")]),
        "[web-1/far] 2 events: web crashed, db crashed"
    );
    assert_eq!(
        subject(config, vec![of("far", "web"), of("near", "web")]),
        "[web-1] 2 events: web crashed on far, web crashed on near"
    );
    let own =
        Event { kind: "dockbell".into(), action: "stopped".into(), engine: "dockbell".into(), ..Event::default() };
    assert_eq!(subject(config, vec![own.clone()]), "[web-1] dockbell stopped");
    assert_eq!(subject(config, vec![of("far", "web"), own]), "[web-1/far] 2 events: web crashed, dockbell stopped");
    assert_eq!(subject(r#"{"hostname": "web-1"}"#, vec![of("far", "web")]), "[web-1] web crashed");
}
