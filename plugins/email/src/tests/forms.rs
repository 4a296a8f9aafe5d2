//! What the texts show, what they hide, and what hostile values do to them.

use super::*;

/// A crash with these attributes beside name and image.
fn labelled(labels: &[(&str, &str)]) -> Batch {
    let mut event = container(0, "web", "web:1", "die", &[("cause", "crashed"), ("exit-code", "1")]);
    event.attributes = pairs(&[("image", "web:1"), ("name", "web")]);
    event.attributes.extend(pairs(labels));
    batch("first", vec![event])
}

#[test]
fn labels_that_say_nothing_are_left_out_and_all_others_are_shown() {
    let noise = [
        "com.docker.compose.project",
        "com.docker.compose.config-hash",
        "org.opencontainers.image.title",
        "maintainer",
        "desktop.docker.io/binds/0",
        "com.docker.swarm.node.id",
        "execID",
        "exitCode",
        "org.label-schema.name",
    ];
    let shown = ["com.example.owner", "traefik.enable", "version", "com.docker.swarm.service.name", "composed"];
    let labels: Vec<(&str, &str)> =
        noise.iter().map(|name| (*name, "noise")).chain(shown.map(|name| (name, "worth"))).collect();
    let mail = mail("{}", &labelled(&labels));
    for form in [text(&mail), html(&mail)] {
        assert!(!form.contains("noise"), "{form}");
        for name in shown {
            assert!(form.contains(&format!("{name}: worth")), "{name}: {form}");
        }
    }
}

#[test]
fn a_long_value_is_cut_and_many_labels_are_counted() {
    let long = "x".repeat(64 << 10);
    let mail = mail("{}", &labelled(&[("long", &long)]));
    assert!(text(&mail).contains(&format!("long: {}…\n", "x".repeat(199))));
    assert!(everything(&mail).len() < 10_000);

    let names: Vec<String> = (0..10_000).map(|index| format!("label-{index:05}")).collect();
    let labels: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    let mail = super::mail("{}", &labelled(&labels));
    assert!(text(&mail).contains("label-00019: ") && !text(&mail).contains("label-00020"));
    assert!(text(&mail).contains("and 9980 more\n"));
    assert!(html(&mail).contains(" · and 9980 more</div>"));
    assert!(everything(&mail).len() < 20_000);
}

#[test]
fn nothing_of_a_command_but_its_program_is_told() {
    for (action, subject) in [
        ("exec_create: /usr/bin/mysql -psecret", "web exec_create (mysql)"),
        ("exec_start: sh -c 'TOKEN=secret curl'", "web exec_start (sh)"),
        ("exec_start: TOKEN=secret curl", "web exec_start"),
        ("exec_start: secret\u{1b}[31m", "web exec_start"),
        ("exec_start:    ", "web exec_start"),
        ("exec: /secret/", "web exec"),
    ] {
        let mail = mail("{}", &batch("first", vec![container(0, "web", "web:1", action, &[])]));
        assert_eq!(mail.subject, format!("[local] {subject}"), "{action}");
        assert!(!everything(&mail).contains("secret"), "{action}");
    }
}

#[test]
fn hostile_values_are_shown_as_harmless_text() {
    let evil = "<script>alert('x')</script>\r\nBcc: a@b\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}\u{2066}\u{200f}\0\"&amp;\u{9b}1m\u{7f}end";
    let mut event =
        container(0, evil, evil, &format!("die: {evil}"), &[("cause", evil), ("log-tail", &format!("a\n{evil}\nb"))]);
    event.engine = evil.into();
    event.kind = evil.into();
    event.scope = evil.into();
    event.actor_id = evil.into();
    event.attributes.push((evil.into(), evil.into()));
    event.facts.push((evil.into(), evil.into()));
    let mut container_kind = event.clone();
    container_kind.kind = "container".into();
    container_kind.action = evil.into();
    let own = Event { kind: "dockbell".into(), action: evil.into(), ..event.clone() };
    let batch = Batch {
        route: evil.into(),
        group: evil.into(),
        phase: evil.into(),
        total: 4_000_000_000,
        counts: vec![(evil.into(), 3)],
        notes: vec![evil.into()],
        since_nanos: i64::MIN,
        until_nanos: i64::MAX,
        events: vec![event, container_kind, own],
    };
    for config in ["{}".to_owned(), serde_json::json!({ "hostname": evil }).to_string()] {
        let mail = mail(&config, &batch);
        assert!(!mail.subject.contains(char::is_control), "{:?}", mail.subject);
        for form in [&mail.subject, text(&mail), html(&mail)] {
            for char in form.chars().filter(|char| *char != '\n') {
                assert!(!char.is_control(), "{char:?} in {form:?}");
                assert!(
                    !matches!(char, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'),
                    "{form:?}"
                );
            }
            assert!(!form.contains("\nBcc"), "{form}");
        }
        assert!(
            !html(&mail).contains("<script") && html(&mail).contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;")
        );
        assert!(html(&mail).contains("&amp;amp;"));
        well_formed(html(&mail));
    }
}

#[test]
fn the_html_loads_nothing_and_closes_what_it_opens() {
    for batch in [one_crash(), bad_evening(), trouble_ended(), large(10_000), Batch::default()] {
        let mail = mail("{}", &batch);
        let html = html(&mail);
        well_formed(html);
        for remote in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link", "<img"] {
            assert!(!html.contains(remote), "{remote}");
        }
        assert!(html.contains("max-width:640px"));
        // RFC 5322 allows 998 characters in a line; the host encodes the text, but a reader of its source has limits too.
        assert!(html.lines().all(|line| line.len() < 20_000));
    }
}

#[test]
fn facts_are_told_in_words_and_unknown_ones_by_name() {
    for (facts, line) in [
        (&[("up-for", "59s")][..], "ran for 59s"),
        (&[("up-for", "3600s")], "ran for 1h 0m"),
        (&[("up-for", "a while")], "ran for a while"),
        (&[("restarts", "1")], "restarted once in 10 minutes"),
        (&[("looping", "true")], "restarts again and again"),
        (&[("late", "true")], "told late, after a reconnect"),
        (&[("late", "false")], "late: false"),
        (&[("inferred", "true")], "not seen in the stream, but found by looking at the engine"),
        (&[("exit-code", "0")], "exit 0"),
        (&[("signal", "15")], "signal 15"),
        (&[("recovered-after", "5s"), ("weather", "fine")], "weather: fine"),
        (&[("identity", "web"), ("weather", "fine")], "weather: fine"),
    ] {
        let mail = mail("{}", &batch("first", vec![container(0, "web", "web:1", "start", facts)]));
        assert!(text(&mail).contains(&format!("\n            {line}\n")), "{facts:?}: {}", text(&mail));
        assert!(html(&mail).contains(&format!(">{line}</div>")), "{facts:?}");
    }
}

#[test]
fn of_a_long_log_the_last_lines_are_shown() {
    let log: String = (0..1_000).map(|line| format!("line {line}\n")).collect();
    let mail = mail("{}", &batch("first", vec![container(0, "web", "web:1", "die", &[("log-tail", &log)])]));
    assert!(text(&mail).contains("            log-tail:\n            | line 980\n"));
    assert!(text(&mail).contains("            | line 999\n\n"));
    assert!(html(&mail).contains("line 998<br>line 999</div>"));
}

#[test]
fn counts_of_many_kinds_are_summed_up_at_the_end() {
    let counts = (0..20).map(|index| (format!("container action-{index}"), 100 - index)).collect();
    let mail = mail("{}", &Batch { counts, ..bad_evening() });
    assert!(text(&mail).contains("   89  container action-11\n  676  of 8 other kinds\n"), "{}", text(&mail));
    assert!(html(&mail).contains("<b>676</b> of 8 other kinds"));
}

/// Every element is closed, in the right order, and no bare `<` or `&` is left.
fn well_formed(html: &str) {
    let mut open = vec![];
    let mut rest = html.strip_prefix("<!doctype html>").unwrap();
    while let Some((before, tag)) = rest.split_once('<') {
        assert!(!before.contains('>'), "{before}");
        for entity in before.split('&').skip(1) {
            let (name, _) = entity.split_once(';').unwrap_or_else(|| panic!("a bare `&`: {entity}"));
            assert!(["amp", "lt", "gt", "quot", "#39", "#8201"].contains(&name), "{name}");
        }
        let (tag, after) = tag.split_once('>').unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        match (tag.starts_with('/'), name) {
            (true, name) => assert_eq!(open.pop(), Some(name)),
            (false, "meta" | "br") => {}
            (false, name) => open.push(name),
        }
        rest = after;
    }
    assert_eq!(open, Vec::<&str>::new());
}
