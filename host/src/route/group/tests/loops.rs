//! How restart loops end, and what is said of them then.

use super::*;
use crate::lifecycle::Lifecycle;

/// A route that looks at each event as dockbell does, and tells those that are wanted.
struct World {
    lifecycle: Lifecycle,
    digest: Digest,
    seq: u64,
    wanted: fn(&Event) -> bool,
    told: Vec<(i64, Batch)>,
    rows: Vec<GroupRow>,
    journal: Vec<(u64, Arc<Event>, Timestamp)>,
}

impl World {
    fn new(config: &RouteConfig) -> Self {
        Self {
            lifecycle: Lifecycle::new(),
            digest: Digest::new("all", config),
            seq: 0,
            wanted: |_| true,
            told: vec![],
            rows: vec![],
            journal: vec![],
        }
    }

    fn telling(wanted: fn(&Event) -> bool) -> Self {
        Self { wanted, ..Self::new(&CONFIG) }
    }

    fn take(&mut self, seq: u64, event: &Arc<Event>, received: Timestamp) {
        if (self.wanted)(event) {
            self.digest.add(seq, event, received);
        } else {
            self.digest.pass(seq, event, received);
        }
        self.digest.reach(seq);
    }

    fn wait(&mut self, until: i64) {
        while let Some(due) = self.digest.next_due().filter(|due| *due <= at(until)) {
            let Some(turn) = self.digest.turn(due) else { continue };
            self.rows = stored(vec![turn.change]);
            self.told.extend(turn.batch.map(|batch| (due.as_second() - 1_000_000, batch)));
        }
    }

    fn event_of(&mut self, name: &str, second: i64, action: &str, exit_code: Option<&str>) {
        self.wait(second);
        let mut event = event(name, action);
        if let Some((action, detail)) = action.split_once(": ") {
            (event.action, event.detail) = (action.into(), detail.into());
        }
        event.actor_id = name.into();
        event.attributes.extend(exit_code.map(|code| ("exitCode", code)));
        event.time_nanos = i64::try_from(at(second).as_nanosecond()).unwrap();
        self.lifecycle.observe(&mut event);
        self.seq += 1;
        let event = Arc::new(event);
        self.journal.push((self.seq, Arc::clone(&event), at(second)));
        self.take(self.seq, &event, at(second));
    }

    fn event(&mut self, second: i64, action: &str) {
        let code = (action == "die").then_some("3");
        self.event_of("web", second, action, code);
    }

    /// It starts, and is restarted so many times, every so many seconds; in the end it is up.
    fn restarts(&mut self, count: i64, every: i64) {
        self.event(0, "start");
        for round in 1..=count {
            self.event(round * every - 1, "die");
            self.event(round * every, "start");
        }
    }

    /// dockbell is killed and started again.
    fn start_again(&mut self, config: &RouteConfig, settled: u64) {
        self.digest = Digest::new("all", config);
        self.digest.restore(settled, self.rows.clone());
        for (seq, event, received) in std::mem::take(&mut self.journal) {
            if seq > settled {
                self.take(seq, &event, received);
            }
            self.journal.push((seq, event, received));
        }
        let newest = self.journal.last().unwrap().2;
        self.digest.caught_up(newest);
    }

    /// All notes that were told, with the second and the phase of their message.
    fn notes(&self) -> Vec<(i64, Phase, &str)> {
        let of = |(second, batch): &'_ (i64, Batch)| (*second, batch.phase);
        self.told
            .iter()
            .flat_map(|told| told.1.notes.iter().map(move |note| (of(told).0, of(told).1, note.as_str())))
            .collect()
    }

    fn one_note(&mut self) -> (Phase, &str) {
        self.wait(100_000);
        assert_eq!(self.digest.next_due(), None, "the group is over");
        let notes = self.notes();
        let [(_, phase, note)] = notes[..] else { panic!("{notes:?}") };
        (phase, note)
    }
}

#[test]
fn a_container_that_has_exited_for_good_is_given_up_and_has_not_recovered() {
    // `on-failure:6`, as filters tell it: everything, or only what fails.
    let wanted: [fn(&Event) -> bool; 2] = [|_| true, |event| event.action == "die"];
    for wanted in wanted {
        let mut world = World::telling(wanted);
        world.restarts(6, 5);
        world.event(32, "die");
        let (phase, note) = world.one_note();
        assert_eq!(phase, Phase::Digest);
        assert!(note.starts_with("web: stopped restarting after 6 restarts, exit code 3, 10m "), "{note}");
    }
}

#[test]
fn a_container_that_stays_up_has_recovered_though_its_starts_are_not_told() {
    let wanted: [fn(&Event) -> bool; 2] = [|_| true, |event| event.action == "die"];
    for wanted in wanted {
        let mut world = World::telling(wanted);
        world.restarts(37, 10);
        let (phase, note) = world.one_note();
        assert_eq!(phase, Phase::Closing);
        assert!(note.starts_with("web: up for 1") && note.ends_with(" after 37 restarts"), "{note}");
    }
}

#[test]
fn one_with_a_health_check_has_recovered_when_it_is_healthy() {
    for (health, phase, said) in [
        ("healthy", Phase::Closing, "web: up and healthy for 10m 30s after 4 restarts"),
        ("unhealthy", Phase::Digest, "web: up for 10m 30s after 4 restarts, but its health check says: unhealthy"),
        ("starting", Phase::Digest, "web: up for 10m 30s after 4 restarts, but its health check says: starting"),
    ] {
        let mut world = World::telling(|event| event.action == "die");
        world.restarts(4, 10);
        world.event(45, &format!("health_status: {health}"));
        assert_eq!(world.one_note(), (phase, said));
    }
}

#[test]
fn a_container_that_somebody_stopped_has_not_recovered() {
    for waits_for_its_restart in [true, false] {
        let mut world = World::new(&CONFIG);
        world.restarts(4, 10);
        if waits_for_its_restart {
            world.event(45, "die");
        } else {
            world.event(44, "stop");
            world.event(45, "die");
        }
        world.event(46, "stop");
        let (phase, note) = world.one_note();
        assert_eq!(phase, Phase::Digest);
        assert!(note.starts_with("web: was stopped after 4 restarts, 10m "), "{note}");
    }
}

#[test]
fn a_loop_that_pauses_longer_than_a_window_has_not_ended() {
    let minute = Duration::from_secs(60);
    let mut world = World::new(&RouteConfig { window: minute, window_max: minute, ..CONFIG });
    world.restarts(3, 10);
    for round in 1..20 {
        world.event(round * 500, "die");
        world.event(round * 500 + 1, "start");
    }
    let (phase, note) = world.one_note();
    assert_eq!(phase, Phase::Closing);
    assert!(note.ends_with("after 22 restarts"), "{note}");
    // The two first ones are no loop yet.
    assert!(world.told.iter().all(|(_, batch)| batch.phase == Phase::Closing || batch.total > 0));
}

#[test]
fn the_end_of_a_loop_is_told_although_others_of_its_group_go_on() {
    let mut world = World::new(&CONFIG);
    world.restarts(5, 5);
    world.event(32, "die");
    for second in 33..2_000 {
        world.event_of("db", second, "pause", None);
    }
    let notes = world.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    let (second, phase, note) = notes[0];
    assert!(second < 800 && phase == Phase::Digest, "{notes:?}");
    assert!(note.starts_with("web: stopped restarting after 5 restarts, exit code 3, "), "{note}");
}

#[test]
fn one_that_recovers_beside_one_that_goes_on_does_not_end_the_trouble() {
    let mut world = World::new(&CONFIG);
    world.restarts(4, 5);
    world.event_of("db", 21, "start", None);
    for round in 2..200 {
        world.event_of("db", round * 15, "die", Some("1"));
        world.event_of("db", round * 15 + 1, "start", None);
    }
    world.wait(100_000);
    let notes = world.notes();
    assert!(matches!(notes[..], [(_, Phase::Digest, _), (_, Phase::Closing, _)]), "{notes:?}");
    assert!(notes[0].2.starts_with("web: up for ") && notes[1].2.ends_with("after 198 restarts"), "{notes:?}");
}

#[test]
fn the_counts_are_exact_over_starts_of_dockbell_at_any_moment() {
    let mut world = World::telling(|event| event.action == "die");
    world.restarts(4, 10);
    for round in 10..200 {
        world.event(round * 10, "die");
        let settled = world.digest.settled();
        if round % 7 == 0 {
            world.start_again(&CONFIG, settled);
        }
        world.event(round * 10 + 1, "start");
        if round % 5 == 0 {
            world.start_again(&CONFIG, settled);
        }
        let settled = world.digest.settled();
        world.start_again(&CONFIG, settled);
    }
    let (phase, note) = world.one_note();
    assert_eq!(phase, Phase::Closing);
    assert!(note.ends_with("after 194 restarts"), "{note}");
}

#[test]
fn containers_of_the_same_name_on_two_engines_are_two() {
    let mut digest = Digest::new("all", &CONFIG);
    let mut seq = 0;
    for engine in ["a", "b"] {
        for (action, second) in [("die", 0), ("start", 1)] {
            let mut event = event("web", action);
            event.engine = engine.into();
            event.facts.extend([(Fact::Looping, "true".into()), (Fact::Restarts, "3".into())]);
            seq += 1;
            if engine == "a" || action == "die" {
                digest.add(seq, &Arc::new(event), at(second));
            }
        }
    }
    let mut notes = Vec::new();
    while let Some(due) = digest.next_due() {
        notes.extend(digest.turn(due).and_then(|turn| turn.batch).map_or(vec![], |batch| batch.notes));
    }
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("web (a): up for ") && notes[0].ends_with("after 4 restarts"), "{notes:?}");
    assert!(notes[1].starts_with("web (b): stopped restarting after 3 restarts, "), "{notes:?}");
}

#[test]
fn silence_says_nothing_while_nobody_watches() {
    // dockbell is down for an hour.
    let mut world = World::new(&CONFIG);
    world.restarts(4, 10);
    world.wait(101);
    let settled = world.digest.settled();
    world.digest = Digest::new("all", &CONFIG);
    world.digest.restore(settled, world.rows.clone());
    assert_eq!(world.digest.turn(at(3_700)).unwrap().batch, None, "what it left is not read yet");
    world.digest.caught_up(at(3_700));
    assert_eq!(world.digest.turn(at(4_200)).unwrap().batch, None);
    world.event(4_201, "die");
    let (phase, note) = world.one_note();
    assert_eq!(phase, Phase::Digest);
    assert!(note.starts_with("web: stopped restarting after 4 restarts, exit code 3, "), "{note}");

    // The engine is lost for an hour.
    let mut world = World::new(&CONFIG);
    world.restarts(4, 10);
    let mut own = |second: i64, action: &str| {
        world.wait(second);
        world.seq += 1;
        let event = Event::own("".into(), action, 1, crate::event::Attributes::default());
        world.take(world.seq, &Arc::new(event), at(second));
    };
    own(50, "engine_lost");
    own(3_650, "engine_back");
    assert_eq!(world.notes(), []);
    let (phase, note) = world.one_note();
    assert!(phase == Phase::Closing && note.starts_with("web: up for "), "{phase} {note}");
}
