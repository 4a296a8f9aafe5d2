//! Sequences as engines send them, and the facts that people get.

use super::*;

const WEB: [(&str, &str); 2] = [("image", "web:1"), ("name", "web-1")];

/// A lifecycle, and the events that it was shown.
#[derive(Default)]
struct Engine {
    lifecycle: Lifecycle,
}

impl Engine {
    /// What becomes of an event of the container `web-1` at a time in seconds.
    fn event(&mut self, at: f64, action: &str, more: &[(&str, &str)]) -> Event {
        self.event_of("id-1", at, action, &[&WEB, more].concat())
    }

    fn event_of(&mut self, id: &str, at: f64, action: &str, attributes: &[(&str, &str)]) -> Event {
        let mut event = event(id, at, action, attributes);
        self.lifecycle.observe(&mut event);
        event
    }

    fn die(&mut self, at: f64, exit_code: &str) -> Event {
        self.event(at, "die", &[("exitCode", exit_code)])
    }

    fn kill(&mut self, at: f64, signal: &str) -> Event {
        self.event(at, "kill", &[("signal", signal)])
    }

    /// One cycle of `restart: always`; the `die` and the `start`.
    fn crash(&mut self, at: f64) -> (Event, Event) {
        (self.die(at, "1"), self.event(at + 1.0, "start", &[]))
    }
}

fn event(id: &str, at: f64, action: &str, attributes: &[(&str, &str)]) -> Event {
    let (action, detail) = action.split_once(": ").unwrap_or((action, ""));
    Event {
        engine: "local".into(),
        kind: "container".into(),
        action: action.into(),
        detail: detail.into(),
        actor_id: id.to_owned(),
        time_nanos: 1_795_331_484_000_000_000 + (at * 1e9) as i64,
        attributes: attributes.iter().copied().collect(),
        ..Event::default()
    }
}

/// The facts but `identity`, as `name=value`.
fn facts(event: &Event) -> String {
    let facts = event.facts.iter().filter(|(fact, _)| *fact != Fact::Identity);
    let mut facts: Vec<_> = facts.map(|(fact, value)| format!("{}={value}", fact.name())).collect();
    facts.sort();
    facts.join(" ")
}

#[test]
fn a_container_that_ends_by_itself_has_finished() {
    let mut engine = Engine::default();
    for action in ["create", "attach", "start"] {
        assert_eq!(facts(&engine.event(0.0, action, &[])), "");
    }
    assert_eq!(facts(&engine.die(312.9, "0")), "cause=finished exit-code=0 up-for=312s");
    assert_eq!(facts(&engine.event(313.0, "destroy", &[])), "");
}

#[test]
fn a_container_that_ends_by_itself_with_another_code_has_crashed() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    assert_eq!(facts(&engine.die(3.0, "3")), "cause=crashed exit-code=3 up-for=3s");
}

#[test]
fn a_signal_before_die_is_a_planned_stop_although_stop_comes_last() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    assert_eq!(facts(&engine.kill(10.0, "15")), "signal=15");
    assert_eq!(facts(&engine.die(10.2, "143")), "cause=stopped exit-code=143 up-for=10s");
    assert_eq!(facts(&engine.event(10.3, "stop", &[])), "");
    assert_eq!(facts(&engine.event(20.0, "start", &[])), "");
}

#[test]
fn a_stop_before_die_is_a_planned_stop() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    engine.event(5.0, "stop", &[]);
    assert_eq!(facts(&engine.die(5.1, "143")), "cause=stopped exit-code=143 up-for=5s");
}

#[test]
fn a_stop_that_was_not_heeded_is_still_a_planned_stop() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    engine.kill(10.0, "15");
    engine.kill(20.0, "9");
    engine.event(20.1, "stop", &[]);
    assert_eq!(facts(&engine.die(20.2, "137")), "cause=stopped exit-code=137 up-for=20s");
}

#[test]
fn a_kill_alone_is_no_stop() {
    let mut engine = Engine::default();
    engine.kill(0.0, "9");
    assert_eq!(facts(&engine.die(0.1, "137")), "cause=killed exit-code=137");
}

#[test]
fn a_request_that_was_ignored_does_not_excuse_a_later_crash() {
    let mut engine = Engine::default();
    engine.kill(0.0, "15");
    assert_eq!(facts(&engine.die(121.0, "1")), "cause=crashed exit-code=1");
}

#[test]
fn a_signal_to_reload_shows_no_intent() {
    for signal in ["1", "10", "12", "28"] {
        let mut engine = Engine::default();
        assert_eq!(facts(&engine.kill(0.0, signal)), format!("signal={signal}"));
        assert_eq!(facts(&engine.die(0.5, "1")), "cause=crashed exit-code=1");
    }
}

#[test]
fn a_request_before_the_start_does_not_excuse_a_crash_after_it() {
    let mut engine = Engine::default();
    engine.event(0.0, "stop", &[]);
    engine.event(1.0, "start", &[]);
    assert_eq!(facts(&engine.die(2.0, "1")), "cause=crashed exit-code=1 up-for=1s");
}

#[test]
fn an_explicit_restart_is_a_planned_stop_and_says_so_at_its_end() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    engine.kill(60.0, "15");
    assert_eq!(facts(&engine.die(60.1, "0")), "cause=stopped exit-code=0 up-for=60s");
    engine.event(60.2, "stop", &[]);
    assert_eq!(facts(&engine.event(60.3, "start", &[])), "");
    assert_eq!(facts(&engine.event(60.4, "restart", &[])), "cause=restarted");
    assert_eq!(facts(&engine.die(61.3, "1")), "cause=crashed exit-code=1 up-for=1s");
}

#[test]
fn a_restart_whose_events_come_out_of_order_does_not_excuse_the_next_crash() {
    let mut engine = Engine::default();
    engine.kill(60.0, "15");
    engine.die(60.1, "0");
    engine.event(60.2, "start", &[]);
    engine.event(60.3, "stop", &[]);
    engine.event(60.4, "restart", &[]);
    assert_eq!(facts(&engine.die(61.2, "1")), "cause=crashed exit-code=1 up-for=1s");
}

#[test]
fn out_of_memory_is_an_oom_before_a_die_with_137() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    engine.event(4.0, "oom", &[]);
    assert_eq!(facts(&engine.die(4.1, "137")), "cause=oom exit-code=137 up-for=4s");
}

#[test]
fn an_oom_that_the_container_survived_is_not_its_death() {
    let mut engine = Engine::default();
    engine.event(0.0, "oom", &[]);
    assert_eq!(facts(&engine.die(9.0, "1")), "cause=crashed exit-code=1");
    engine.event(10.0, "start", &[]);
    engine.event(11.0, "oom", &[]);
    engine.die(12.0, "0");
    engine.event(13.0, "start", &[]);
    assert_eq!(engine.die(14.0, "137").fact(Fact::Cause), Some("crashed"));
}

#[test]
fn a_container_that_lost_a_lesser_process_to_memory_may_still_finish() {
    let mut engine = Engine::default();
    engine.event(0.0, "oom", &[]);
    let mut die = event("id-1", 5.0, "die", &[("exitCode", "0"), ("name", "web-1")]);
    engine.lifecycle.observe_inspected(&mut die, Inspected { exit_code: Some(0), oom_killed: true });
    assert_eq!(facts(&die), "cause=finished exit-code=0");
}

#[test]
fn a_stop_that_ends_in_137_is_not_out_of_memory() {
    let mut engine = Engine::default();
    engine.event(0.0, "oom", &[]);
    engine.kill(1.0, "15");
    engine.kill(11.0, "9");
    assert_eq!(engine.die(11.1, "137").fact(Fact::Cause), Some("stopped"));
}

#[test]
fn what_the_engine_says_when_asked_wins_over_the_attributes() {
    let mut engine = Engine::default();
    let mut die = event("id-1", 5.0, "die", &[("exitCode", "0"), ("name", "web-1")]);
    engine.lifecycle.observe_inspected(&mut die, Inspected { exit_code: Some(137), oom_killed: true });
    assert_eq!(facts(&die), "cause=oom exit-code=137");
}

#[test]
fn a_label_cannot_forge_the_exit_code() {
    let mut engine = Engine::default();
    engine.event(0.0, "create", &[("exitCode", "0")]);
    engine.event(0.1, "start", &[("exitCode", "0")]);
    assert_eq!(facts(&engine.die(1.1, "0")), "cause=crashed up-for=1s");
    let mut die = event("id-1", 5.0, "die", &[("exitCode", "0"), ("name", "web-1")]);
    engine.lifecycle.observe_inspected(&mut die, Inspected { exit_code: Some(3), oom_killed: false });
    assert_eq!(die.fact(Fact::ExitCode), Some("3"));
}

#[test]
fn a_label_cannot_forge_the_signal() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[("signal", "15")]);
    assert_eq!(facts(&engine.kill(1.0, "15")), "");
    assert_eq!(facts(&engine.die(1.5, "1")), "cause=crashed exit-code=1 up-for=1s");
}

#[test]
fn a_label_cannot_forge_a_fact() {
    let mut engine = Engine::default();
    let die = engine.event(0.0, "die", &[("exitCode", "1"), ("cause", "finished"), ("looping", "true")]);
    assert_eq!(facts(&die), "cause=crashed exit-code=1");
}

#[test]
fn the_identity_is_the_compose_service_else_the_name_and_never_the_id() {
    let mut engine = Engine::default();
    let labels = [("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web")];
    assert_eq!(engine.event(0.0, "create", &labels).fact(Fact::Identity), Some("shop/web"));
    assert_eq!(engine.event_of("id-2", 0.0, "start", &[("name", "db")]).fact(Fact::Identity), Some("db"));
    assert_eq!(engine.event_of("id-3", 0.0, "start", &[]).fact(Fact::Identity), None);
    assert_eq!(engine.event_of("", 0.0, "prune", &[("name", "db")]).fact(Fact::Identity), Some("db"));
}

#[test]
fn the_identity_is_remembered_and_follows_a_rename() {
    let mut engine = Engine::default();
    engine.event(0.0, "create", &[]);
    assert_eq!(engine.event_of("id-1", 1.0, "die", &[]).fact(Fact::Identity), Some("web-1"));
    assert_eq!(engine.event_of("id-1", 2.0, "rename", &[("name", "web-2")]).fact(Fact::Identity), Some("web-2"));
    assert_eq!(engine.event_of("id-1", 3.0, "start", &[]).fact(Fact::Identity), Some("web-2"));
}

#[test]
fn a_policy_restart_is_counted_and_says_how_long_the_container_was_down() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    let (die, start) = engine.crash(60.0);
    assert_eq!(facts(&die), "cause=crashed exit-code=1 up-for=60s");
    assert_eq!(facts(&start), "recovered-after=1s restarts=1");
}

#[test]
fn three_restarts_within_ten_minutes_are_a_loop() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    engine.crash(10.0);
    let (_, start) = engine.crash(20.0);
    assert_eq!(facts(&start), "recovered-after=11s restarts=2");
    let (die, start) = engine.crash(30.0);
    assert_eq!(facts(&die), "cause=crashed exit-code=1 restarts=2 up-for=9s");
    assert_eq!(facts(&start), "looping=true restarts=3");
    assert_eq!(facts(&engine.event(32.0, "health_status: starting", &[])), "looping=true");
}

#[test]
fn a_loop_ends_after_ten_minutes_without_a_restart() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    for round in 1..=5 {
        engine.crash(f64::from(round) * 10.0);
    }
    assert_eq!(engine.event(650.9, "pause", &[]).fact(Fact::Looping), Some("true"));
    assert_eq!(engine.event(651.0, "unpause", &[]).fact(Fact::Looping), None);
    let (die, start) = engine.crash(700.0);
    assert_eq!(facts(&die), "cause=crashed exit-code=1 up-for=649s");
    assert_eq!(facts(&start), "recovered-after=1s restarts=1");
}

#[test]
fn a_slow_loop_stays_one_while_each_restart_follows_within_ten_minutes() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    for round in 1..=3 {
        engine.crash(f64::from(round) * 10.0);
    }
    let (_, start) = engine.crash(600.0);
    assert_eq!(start.fact(Fact::Looping), Some("true"));
    let (_, start) = engine.crash(1100.0);
    assert_eq!(facts(&start), "looping=true restarts=2");
}

#[test]
fn starts_that_somebody_asked_for_are_no_loop() {
    let mut engine = Engine::default();
    for round in 0..6 {
        let at = f64::from(round) * 20.0;
        assert_eq!(facts(&engine.event(at, "start", &[])), "");
        engine.kill(at + 10.0, "15");
        engine.die(at + 10.1, "0");
        engine.event(at + 10.2, "stop", &[]);
    }
}

#[test]
fn a_container_that_is_made_anew_each_time_loops_too() {
    let mut engine = Engine::default();
    for round in 0..4 {
        let (id, at) = (format!("id-{round}"), f64::from(round) * 5.0);
        engine.event_of(&id, at, "create", &WEB);
        let start = engine.event_of(&id, at, "start", &WEB);
        assert_eq!(start.fact(Fact::Looping), (round == 3).then_some("true"));
        engine.event_of(&id, at + 1.0, "die", &[&WEB[..], &[("exitCode", "1")]].concat());
        engine.event_of(&id, at + 1.1, "destroy", &WEB);
    }
}

#[test]
fn replicas_that_restart_once_each_are_no_loop() {
    let mut engine = Engine::default();
    for replica in 0..5 {
        let (id, name) = (format!("id-{replica}"), format!("shop-web-{replica}"));
        let labels =
            [("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web"), ("name", name.as_str())];
        engine.event_of(&id, 0.0, "die", &[&labels[..], &[("exitCode", "1")]].concat());
        let start = engine.event_of(&id, 1.0, "start", &labels);
        assert_eq!(facts(&start), "recovered-after=1s restarts=1");
        assert_eq!(start.fact(Fact::Identity), Some("shop/web"));
    }
}

#[test]
fn a_container_that_is_stopped_while_it_waits_for_its_restart_sends_no_die() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    engine.die(10.0, "1");
    assert_eq!(facts(&engine.event(12.0, "stop", &[])), "");
    // Started by hand later: no restart, but the trouble is over.
    assert_eq!(facts(&engine.event(100.0, "start", &[])), "recovered-after=90s");
}

#[test]
fn ten_quiet_minutes_end_the_trouble_that_a_later_crash_is_measured_from() {
    let mut engine = Engine::default();
    engine.event(0.0, "start", &[]);
    engine.crash(10.0);
    let (_, start) = engine.crash(1000.0);
    assert_eq!(start.fact(Fact::RecoveredAfter), Some("1s"));
}

#[test]
fn healthy_after_unhealthy_says_how_long_it_lasted() {
    let mut engine = Engine::default();
    assert_eq!(facts(&engine.event(0.0, "health_status: healthy", &[])), "");
    assert_eq!(facts(&engine.event(100.0, "health_status: unhealthy", &[])), "");
    engine.event(160.0, "health_status: unhealthy", &[]);
    assert_eq!(facts(&engine.event(190.0, "health_status: healthy", &[])), "recovered-after=90s");
    assert_eq!(facts(&engine.event(191.0, "health_status: healthy", &[])), "");
}

#[test]
fn a_restart_that_cures_an_unhealthy_container_is_measured_from_the_first_trouble() {
    let mut engine = Engine::default();
    engine.event(0.0, "health_status: unhealthy", &[]);
    engine.kill(30.0, "15");
    engine.die(30.1, "0");
    engine.event(30.2, "start", &[]);
    engine.event(30.3, "restart", &[]);
    assert_eq!(facts(&engine.event(45.0, "health_status: healthy", &[])), "recovered-after=45s");
}

#[test]
fn events_out_of_order_never_make_negative_times() {
    let mut engine = Engine::default();
    engine.event(10.0, "start", &[]);
    assert_eq!(facts(&engine.die(9.999, "1")), "cause=crashed exit-code=1 up-for=0s");
    let mut event = event("id-1", 0.0, "start", &WEB);
    event.time_nanos = i64::MIN;
    engine.lifecycle.observe(&mut event);
    assert_eq!(event.fact(Fact::RecoveredAfter), Some("0s"));
    engine.die(1.0, "1");
}

#[test]
fn the_same_container_id_on_two_engines_is_two_containers() {
    let mut engine = Engine::default();
    engine.kill(0.0, "15");
    let mut die = event("id-1", 0.1, "die", &[("exitCode", "1")]);
    die.engine = "other".into();
    engine.lifecycle.observe(&mut die);
    assert_eq!(die.fact(Fact::Cause), Some("crashed"));
}

#[test]
fn what_is_destroyed_is_forgotten() {
    let mut engine = Engine::default();
    engine.kill(0.0, "15");
    engine.event(1.0, "destroy", &[]);
    assert_eq!(facts(&engine.die(1.1, "1")), "cause=crashed exit-code=1");
}

#[test]
fn other_kinds_and_what_says_nothing_about_life_stay_as_they_are() {
    let mut engine = Engine::default();
    for action in ["exec_create: sh -c true", "exec_start: sh -c true", "exec_die", "attach", "resize", "top"] {
        assert!(engine.event(0.0, action, &[("exitCode", "0")]).facts.is_empty(), "{action}");
    }
    let mut network = event("id-1", 0.0, "connect", &WEB);
    network.kind = "network".into();
    engine.lifecycle.observe(&mut network);
    assert!(network.facts.is_empty());
    assert!(engine.lifecycle.engines.is_empty());
    // An exec's exit code, which its event has by right, does not make the container's own look forged.
    assert_eq!(facts(&engine.die(1.0, "0")), "cause=finished exit-code=0");
}

#[test]
fn facts_that_are_there_already_are_kept_or_replaced_but_never_doubled() {
    let mut engine = Engine::default();
    let mut die = event("id-1", 0.0, "die", &[("exitCode", "1")]);
    die.facts = vec![(Fact::Late, "true".into()), (Fact::Cause, "finished".into())];
    engine.lifecycle.observe(&mut die);
    assert_eq!(facts(&die), "cause=crashed exit-code=1 late=true");
}
