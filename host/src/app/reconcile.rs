//! What happened in a gap, found out by comparing what was known with what there is.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::engine::Container;
use crate::event::{Attributes, Event, Fact, nanos};
use crate::lifecycle::{Containers, Known};
use crate::store::Gap;

/// The events that must have been in the gaps, the earliest first. What happened more than once within them is found once,
/// and what has no time counts for the last gap. An engine notes when a container started or ended shortly before it says so:
/// what was seen later than that was seen.
pub(super) fn inferred(engine: &str, gaps: &[Gap], known: &Containers, now: &[Container]) -> Vec<Event> {
    let Some(last) = gaps.last() else { return Vec::new() };
    let mut events = Vec::new();
    let unseen = |time: Option<Timestamp>, seen: i64| {
        let missed = |time: &i64| gaps.iter().any(|gap| (gap.from..=gap.to).contains(time));
        time.map(nanos).filter(|time| missed(time) && *time > seen)
    };
    for container in now.iter().filter(|container| !container.unknown) {
        let before = known.get(&container.id);
        let event = |action: &str, at: i64| event(engine, container, action, at);
        if let (None, Some(at)) = (before, unseen(container.created, 0)) {
            events.push(event("create", at));
        }
        let ran = before.is_some_and(|before| before.running);
        let ended = unseen(container.finished, before.map_or(0, |before| before.ended));
        let started = unseen(container.started, before.map_or(0, |before| before.started));
        // A start before the end that is known: of a run that began and ended in the gap.
        if let Some(at) = started.filter(|_| !ran || ended.is_some()) {
            events.push(event("start", at));
        }
        if let Some(at) = ended {
            let mut died = event("die", at);
            // While it runs again, the engine has forgotten how the last run ended.
            if !container.running {
                let code = container.exit_code.to_string();
                died.attributes.push("exitCode", &code);
                died.facts.push((Fact::ExitCode, code.into()));
                died.facts.extend(cause(container).map(|cause| (Fact::Cause, cause.into())));
            }
            events.push(died);
        }
        let health = before.map_or("", |before| before.health.as_str());
        if container.running
            && container.health != health
            && matches!(container.health.as_str(), "healthy" | "unhealthy")
        {
            let mut changed = event("health_status", last.to);
            changed.detail = container.health.as_str().into();
            events.push(changed);
        }
    }
    let there: HashSet<&str> = now.iter().map(|container| container.id.as_str()).collect();
    for (id, before) in known.iter().filter(|(id, _)| !there.contains(id)) {
        let Known { name, image, .. } = before.clone();
        let gone = Container { id: id.to_owned(), name, image, ..Container::default() };
        events.push(event(engine, &gone, "destroy", last.to));
    }
    events.sort_by_key(|event| event.time_nanos);
    events
}

/// Why a container ended, where its exit code alone says so. 130, 137 and 143 may be a crash, or somebody's wish.
fn cause(container: &Container) -> Option<&'static str> {
    match container.exit_code {
        _ if container.oom_killed => Some("oom"),
        0 => Some("finished"),
        130 | 137 | 143 => None,
        _ => Some("crashed"),
    }
}

fn event(engine: &str, container: &Container, action: &str, at: i64) -> Event {
    let Container { id, name, image, labels, .. } = container;
    let own = |label: &str| !matches!(label, "name" | "image" | "exitCode");
    let mut attributes: Attributes =
        labels.iter().filter(|(label, _)| own(label)).map(|(name, value)| (name, value)).collect();
    attributes.extend([("image", image), ("name", name)]);
    Event {
        engine: engine.into(),
        kind: "container".into(),
        action: action.into(),
        actor_id: id.clone(),
        scope: "local".into(),
        time_nanos: at,
        attributes,
        facts: vec![(Fact::Inferred, "true".into())],
        ..Event::default()
    }
}

/// What is to be remembered of a container, of which everything until this time was told; with none, what was known stays so.
pub(super) fn remember(container: &Container, until: i64) -> (String, Option<Known>) {
    if container.unknown {
        return (container.id.clone(), None);
    }
    let Container { id, name, image, running, health, started, finished, .. } = container.clone();
    let [started, ended] = [started, finished].map(|time| time.map(nanos).filter(|time| *time <= until).unwrap_or(0));
    (id, Some(Known { name, image, running, health, started, ended }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(1_000 + second).unwrap())
    }

    const GAP: (i64, i64) = (10, 20);

    fn found(known: &[(&str, bool)], now: &[Container]) -> Vec<(i64, String, Option<String>)> {
        let mut containers = Containers::default();
        containers.restore(known.iter().map(|(id, running)| {
            ((*id).to_owned(), Known { name: (*id).to_owned(), running: *running, ..Known::default() })
        }));
        let gap = Gap { from: nanos(at(GAP.0).unwrap()), to: nanos(at(GAP.1).unwrap()) };
        let events = inferred("local", &[gap], &containers, now);
        assert!(events.iter().all(|event| event.fact(Fact::Inferred) == Some("true")));
        let short = |event: &Event| {
            let second = event.time_nanos / 1_000_000_000 - 1_000;
            (second, format!("{} {}", event.who(), event.action), event.fact(Fact::ExitCode).map(str::to_owned))
        };
        events.iter().map(short).collect()
    }

    fn container(id: &str) -> Container {
        Container { id: id.to_owned(), name: id.to_owned(), created: at(0), started: at(1), ..Container::default() }
    }

    #[test]
    fn a_container_that_died_unwatched_is_told_with_its_exit_code_and_time() {
        let died = Container { finished: at(15), exit_code: 3, ..container("web") };
        assert_eq!(found(&[("web", true)], &[died]), [(15, "web die".to_owned(), Some("3".to_owned()))]);
    }

    #[test]
    fn what_was_told_before_the_gap_is_not_told_again() {
        let died = Container { finished: at(5), exit_code: 3, ..container("web") };
        let runs = Container { running: true, ..container("db") };
        assert_eq!(found(&[("web", false), ("db", true)], &[died, runs]), []);
    }

    #[test]
    fn what_the_engine_repeated_is_not_told_again_though_it_noted_the_time_within_the_gap() {
        let died = Container { finished: at(19), exit_code: 3, ..container("web") };
        let mut containers = Containers::default();
        let (id, known) = remember(&container("web"), 0);
        containers.restore([(id, known.unwrap())]);
        let gap = Gap { from: nanos(at(10).unwrap()), to: nanos(at(20).unwrap()) };
        assert_eq!(inferred("local", &[gap], &containers, std::slice::from_ref(&died)).len(), 1);
        let die = event("local", &died, "die", nanos(at(20).unwrap()));
        containers.observe(&die);
        assert_eq!(inferred("local", &[gap], &containers, &[died]), []);
    }

    #[test]
    fn one_that_was_made_and_one_that_is_gone_are_told() {
        let new = Container { created: at(12), started: at(13), running: true, ..container("new") };
        let told = found(&[("old", true)], &[new]);
        let texts: Vec<_> = told.iter().map(|(second, text, _)| (*second, text.as_str())).collect();
        assert_eq!(texts, [(12, "new create"), (13, "new start"), (20, "old destroy")]);
    }

    #[test]
    fn a_restart_in_the_gap_is_an_end_and_a_start() {
        let again = Container { running: true, finished: at(14), started: at(16), ..container("web") };
        let told = found(&[("web", true)], &[again]);
        let texts: Vec<_> = told.iter().map(|(second, text, code)| (*second, text.as_str(), code.is_some())).collect();
        assert_eq!(texts, [(14, "web die", false), (16, "web start", false)]);
    }

    #[test]
    fn a_container_that_was_not_looked_at_is_neither_gone_nor_another_one() {
        let unknown = |id: &str| Container { id: id.to_owned(), unknown: true, ..Container::default() };
        let now = [unknown("web"), unknown("new")];
        assert_eq!(found(&[("web", true), ("old", false)], &now), [(20, "old destroy".to_owned(), None)]);
        let mut containers = Containers::default();
        let known = Known { name: "web".to_owned(), running: true, ..Known::default() };
        containers.restore([("web".to_owned(), known.clone())]);
        containers.replace(now.iter().map(|container| remember(container, 0)));
        assert_eq!(containers.get("web"), Some(&known), "what was known stays so");
        assert_eq!(containers.get("new"), None);
    }
}
