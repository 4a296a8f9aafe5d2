//! Batches as dockbell makes them.

use dockbell_plugin::{Batch, Event};

/// 2026-11-22 07:11:24 UTC.
pub(super) const NOON: i64 = 1_795_331_484_283_292_298;
pub(super) const SECOND: i64 = 1_000_000_000;

pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// An event of a container, so many seconds after [`NOON`].
pub(super) fn container(after: i64, name: &str, image: &str, action: &str, facts: &[(&str, &str)]) -> Event {
    let (action, detail) = action.split_once(": ").unwrap_or((action, ""));
    Event {
        engine: "local".into(),
        kind: "container".into(),
        action: action.into(),
        detail: detail.into(),
        actor_id: "3f2a9c01".repeat(8),
        scope: "local".into(),
        time_nanos: NOON + after * SECOND,
        attributes: pairs(&[
            ("com.docker.compose.project", "shop"),
            ("com.docker.compose.service", "web"),
            ("image", image),
            ("name", name),
            ("org.opencontainers.image.version", "24.04"),
        ]),
        facts: facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

pub(super) fn batch(phase: &str, events: Vec<Event>) -> Batch {
    let mut counts: Vec<(String, u32)> = vec![];
    for event in &events {
        let what = format!("{} {}", event.kind, event.action);
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Batch {
        route: "default".into(),
        group: String::new(),
        phase: phase.into(),
        since_nanos: events.iter().map(|event| event.time_nanos).min().unwrap_or_default(),
        until_nanos: events.iter().map(|event| event.time_nanos).max().unwrap_or_default(),
        total: u32::try_from(events.len()).unwrap(),
        counts,
        events,
        notes: vec![],
    }
}

pub(super) fn one_crash() -> Batch {
    let facts = [
        ("identity", "shop/web"),
        ("cause", "crashed"),
        ("exit-code", "137"),
        ("up-for", "312s"),
        ("restarts", "3"),
        ("log-tail", "listening on :8080\nfatal: cannot allocate memory\n\tat main.go:12\nexit"),
    ];
    let mut event = container(0, "shop-web-1", "registry.example/shop/web:1.4.2", "die", &facts);
    event.attributes.push(("com.example.owner".into(), "team-shop@example.org".into()));
    Batch { group: "shop/web".into(), ..batch("first", vec![event]) }
}

pub(super) fn bad_evening() -> Batch {
    let crash = [("identity", "shop/web"), ("cause", "crashed"), ("exit-code", "137"), ("up-for", "312s")];
    let loops =
        [("identity", "shop/web"), ("cause", "crashed"), ("exit-code", "1"), ("restarts", "4"), ("looping", "true")];
    let stop = [("cause", "stopped"), ("exit-code", "143"), ("up-for", "86700s")];
    let network = Event {
        kind: "network".into(),
        action: "disconnect".into(),
        attributes: pairs(&[("container", &"3f2a9c01".repeat(8)), ("name", "shop_default"), ("type", "bridge")]),
        ..container(1, "", "", "", &[])
    };
    let lost = Event {
        kind: "dockbell".into(),
        action: "engine_lost".into(),
        attributes: pairs(&[("reason", "connection refused")]),
        ..container(70, "", "", "", &[])
    };
    let mut labelled = container(4, "shop-db-1", "postgres:16", "health_status: unhealthy", &[("identity", "shop/db")]);
    labelled.attributes.push(("com.example.note".into(), "<b>watch</b> & \"learn\" \u{1b}[31mred\u{1b}[0m".into()));
    let mut batch = batch(
        "digest",
        vec![
            container(0, "shop-web-1", "registry.example/shop/web:1.4.2", "die", &crash),
            network,
            container(2, "shop-web-1", "registry.example/shop/web:1.4.2", "start", &[("identity", "shop/web")]),
            container(3, "shop-cache-1", "redis:7", "oom", &[]),
            labelled,
            container(9, "shop-web-1", "registry.example/shop/web:1.4.2", "die", &loops),
            container(15, "shop-web-1", "registry.example/shop/web:1.4.2", "die", &loops),
            container(20, "backup", "backup:latest", "kill", &[("signal", "9")]),
            container(21, "backup", "backup:latest", "die", &stop),
            container(30, "shop-db-1", "postgres:16", "exec_start: /bin/sh -c PASSWORD=secret psql", &[]),
            container(65, "shop-db-1", "postgres:16", "health_status: healthy", &[("recovered-after", "61s")]),
            lost,
        ],
    );
    batch.notes = vec![
        "From 09:12:40 to 09:12:52 the engine could not be read: what happened then is not known.".into(),
        "2 events are told late.".into(),
    ];
    batch
}

pub(super) fn trouble_ended() -> Batch {
    let healthy = container(
        0,
        "shop-web-1",
        "shop/web:1.4.2",
        "start",
        &[("identity", "shop/web"), ("recovered-after", "4000s")],
    );
    Batch { group: "shop/web".into(), ..batch("closing", vec![healthy]) }
}

/// The first and the last 50 of so many events.
pub(super) fn large(total: u32) -> Batch {
    let events = (0..100).map(|index| {
        let facts = [("cause", "crashed"), ("exit-code", "1"), ("up-for", "12s")];
        container(index, &format!("shop-worker-{}", index % 7), "registry.example/shop/worker:1.4.2", "die", &facts)
    });
    let mut batch = batch("digest", events.collect());
    batch.total = total;
    batch.counts = vec![("container die".into(), total)];
    batch
}
