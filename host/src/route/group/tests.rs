//! The clock is a number here: every test says itself what time it is.

mod loops;

use super::*;

const CONFIG: RouteConfig = RouteConfig {
    engines: vec![],
    filters: vec![],
    formatter: String::new(),
    to: vec![],
    group_by: GroupBy::None,
    settle: Duration::from_secs(1),
    window: Duration::from_secs(60),
    window_max: Duration::from_secs(600),
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn event(name: &str, action: &str) -> Event {
    let attributes = [("name", name)].into_iter().collect();
    Event { kind: "container".into(), action: action.into(), attributes, ..Event::default() }
}

fn looping(name: &str) -> Arc<Event> {
    let mut event = event(name, "die");
    event.facts.push((Fact::Looping, "true".into()));
    Arc::new(event)
}

fn die(name: &str) -> Arc<Event> {
    Arc::new(event(name, "die"))
}

/// What is told at the end of a run: the next batch.
fn rest(digest: &mut Digest) -> Option<(Phase, u32)> {
    loop {
        let batch = digest.turn_any()?.batch;
        if let Some(batch) = batch {
            return Some((batch.phase, batch.total));
        }
    }
}

/// What is told until a time, as (second, phase, events).
fn told(digest: &mut Digest, until: i64) -> Vec<(i64, Phase, u32)> {
    let mut told = Vec::new();
    while let Some(due) = digest.next_due().filter(|due| *due <= at(until)) {
        while let Some(turn) = digest.turn(due) {
            let Some(batch) = turn.batch else { continue };
            told.push((due.as_second() - 1_000_000, batch.phase, batch.total));
        }
    }
    told
}

#[test]
fn the_first_event_is_told_after_settle_and_the_rest_at_the_end_of_the_window() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.add(1, &die("web"), at(0));
    assert_eq!(told(&mut digest, 10), [(1, Phase::First, 1)]);
    for second in 10..50 {
        digest.add(1, &die("web"), at(second));
    }
    assert_eq!(told(&mut digest, 70), [(61, Phase::Digest, 40)]);
}

#[test]
fn what_comes_within_settle_shares_the_first_message() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.add(1, &die("web"), at(0));
    digest.add(1, &die("db"), at(0));
    assert_eq!(told(&mut digest, 10), [(1, Phase::First, 2)]);
}

#[test]
fn after_a_quiet_window_the_next_event_is_told_at_once() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.add(1, &die("web"), at(0));
    assert_eq!(told(&mut digest, 100), [(1, Phase::First, 1)]);
    assert_eq!(digest.next_due(), None);
    digest.add(1, &die("web"), at(100));
    assert_eq!(told(&mut digest, 200), [(101, Phase::First, 1)]);
}

#[test]
fn ten_thousand_events_make_two_messages_with_exact_counts() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.add(1, &die("web"), at(0));
    let mut all = told(&mut digest, 1);
    for number in 0..10_000 {
        digest.add(1, &die("web"), at(2 + number / 1_000));
    }
    all.extend(told(&mut digest, 300));
    assert_eq!(all, [(1, Phase::First, 1), (61, Phase::Digest, 10_000)]);
}

#[test]
fn a_window_is_fixed_and_does_not_slide() {
    let mut digest = Digest::new("all", &CONFIG);
    let mut all = Vec::new();
    for second in 0..200 {
        digest.add(1, &die("web"), at(second));
        all.extend(told(&mut digest, second));
    }
    assert_eq!(
        all,
        [(1, Phase::First, 2), (61, Phase::Digest, 60), (121, Phase::Digest, 60), (181, Phase::Digest, 60)]
    );
}

#[test]
fn a_restart_loop_makes_the_window_double_up_to_its_maximum_and_ends_with_one_closing_message() {
    let mut digest = Digest::new("all", &CONFIG);
    let mut all = Vec::new();
    for second in 0..3_600_i64 {
        if second % 10 == 0 {
            digest.add(second.unsigned_abs() + 1, &looping("web"), at(second));
        }
        all.extend(told(&mut digest, second));
    }
    digest.pass(3_601, &event("web", "start"), at(3_599));
    all.extend(told(&mut digest, 10_000));
    let when: Vec<i64> = all.iter().map(|(second, ..)| *second).collect();
    assert_eq!(when, [1, 61, 121, 241, 481, 961, 1_561, 2_161, 2_761, 3_361, 3_961, 4_561]);
    assert_eq!(all.iter().map(|(_, _, events)| events).sum::<u32>(), 360);
    assert_eq!(all.last(), Some(&(4_561, Phase::Closing, 0)));
    assert_eq!(all.iter().filter(|(_, phase, _)| *phase == Phase::Closing).count(), 1);
}

#[test]
fn something_new_is_told_within_the_normal_window_although_a_loop_made_it_long() {
    let mut digest = Digest::new("all", &CONFIG);
    let mut all = Vec::new();
    for second in 0..1_100_i64 {
        if second % 10 == 0 {
            digest.add(second.unsigned_abs() + 1, &looping("web"), at(second));
        }
        if second == 1_000 {
            digest.add(1, &die("db"), at(second));
        }
        all.extend(told(&mut digest, second));
    }
    assert_eq!(all.last().map(|(second, ..)| *second), Some(1_060));
}

#[test]
fn what_was_received_long_ago_is_told_once_per_window_too() {
    let mut digest = Digest::new("all", &CONFIG);
    // After a stop, or behind a slow plugin: everything is an hour old, and comes bit by bit.
    digest.add(1, &die("web"), at(0));
    let turn = digest.turn(at(3_600)).unwrap();
    assert_eq!(turn.batch.map(|batch| batch.phase), Some(Phase::First));
    for seq in 2..100 {
        digest.add(seq, &die("web"), at(1));
        assert_eq!(digest.turn(at(3_600)), None);
    }
    assert_eq!(told(&mut digest, 4_000), [(3_660, Phase::Digest, 98)]);
}

#[test]
fn a_group_that_ends_before_its_events_were_read_again_keeps_that_they_were_told() {
    let mut digest = Digest::new("all", &RouteConfig { group_by: GroupBy::Container, ..CONFIG });
    let state = r#"{"length":{"secs":60,"nanos":0},"loops":[],"told":0,"fresh":false}"#.to_owned();
    digest.restore(2, vec![GroupRow { key: "container:web".to_owned(), state, due: Some(at(60)), sealed_through: 9 }]);
    digest.reach(3);
    let turn = digest.turn(at(60)).unwrap();
    assert_eq!(turn.change, GroupChange::Close { key: "container:web".to_owned(), sealed_through: 9 });
    digest.add(9, &die("web"), at(10));
    assert_eq!(digest.next_due(), None, "it was told before");
}

/// What a store keeps of these changes.
fn stored(changes: Vec<GroupChange>) -> Vec<GroupRow> {
    changes
        .into_iter()
        .map(|change| match change {
            GroupChange::Save(row) => row,
            GroupChange::Close { key, sealed_through } => {
                GroupRow { key, state: String::new(), due: None, sealed_through }
            }
        })
        .collect()
}

#[test]
fn what_was_told_stays_told_and_what_waits_is_told_when_events_are_grouped_in_another_way() {
    let by = |group_by| Digest::new("all", &RouteConfig { group_by, ..CONFIG });
    let mut digest = by(GroupBy::Container);
    digest.add(1, &die("db"), at(0));
    digest.reach(1);
    let mut rows = stored(vec![digest.turn(at(1)).unwrap().change]);
    // Number 2 waits within the window of `db`, number 3 is told.
    digest.add(2, &die("db"), at(2));
    digest.add(3, &die("web"), at(2));
    digest.reach(3);
    rows.extend(stored(vec![digest.turn(at(3)).unwrap().change]));
    assert_eq!(digest.settled(), 1);
    for group_by in GroupBy::ALL {
        let mut digest = by(group_by);
        digest.restore(1, rows.clone());
        for (seq, name) in [(2, "db"), (3, "web")] {
            digest.add(seq, &die(name), at(5));
            digest.reach(seq);
        }
        let told: u32 = told(&mut digest, 3_600).iter().map(|(_, _, events)| events).sum();
        assert_eq!(told, 1, "{group_by:?}");
    }
}

#[test]
fn a_group_of_another_kind_that_ends_says_nothing_about_what_waits_now() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.add(1, &die("web"), at(0));
    digest.reach(1);
    let first = stored(vec![digest.turn(at(1)).unwrap().change]);
    // Meanwhile by container: a new event waits when the window of the group of all ends.
    let mut digest = Digest::new("all", &RouteConfig { group_by: GroupBy::Container, ..CONFIG });
    digest.restore(1, first);
    digest.add(2, &die("web"), at(61));
    digest.reach(2);
    let over = stored(vec![digest.turn(at(61)).unwrap().change]);
    assert_eq!((over[0].key.as_str(), over[0].sealed_through), ("none:", 0));
    let mut digest = Digest::new("all", &CONFIG);
    digest.restore(1, over);
    digest.add(2, &die("web"), at(61));
    assert_eq!(told(&mut digest, 100), [(62, Phase::First, 1)]);
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_wait_longer_than_a_window() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.clamp_due(at(100_000));
    digest.add(1, &die("web"), at(100_000));
    assert_eq!(told(&mut digest, 100_001), [(100_001, Phase::First, 1)]);
    digest.add(2, &die("web"), at(100_002));
    digest.clamp_due(at(50_000));
    assert_eq!(digest.next_due(), Some(at(50_060)));
    digest.add(3, &die("web"), at(50_001));
    assert_eq!(told(&mut digest, 60_000), [(50_060, Phase::Digest, 2)]);
}

#[test]
fn groups_have_windows_of_their_own() {
    let mut digest = Digest::new("all", &RouteConfig { group_by: GroupBy::Container, ..CONFIG });
    digest.add(1, &die("web"), at(0));
    digest.add(1, &die("db"), at(30));
    assert_eq!(told(&mut digest, 40), [(1, Phase::First, 1), (31, Phase::First, 1)]);
}

#[test]
fn more_groups_than_allowed_share_one() {
    let mut digest = Digest::new("all", &RouteConfig { group_by: GroupBy::Container, ..CONFIG });
    for number in 0..MAX_GROUPS + 5 {
        digest.add(1, &die(&format!("c{number}")), at(0));
    }
    let all = told(&mut digest, 1);
    assert_eq!(all.len(), MAX_GROUPS + 1);
    assert_eq!(all.iter().map(|(_, _, events)| *events as usize).sum::<usize>(), MAX_GROUPS + 5);
}

#[test]
fn a_window_of_zero_tells_every_event_at_once() {
    let zero = Duration::ZERO;
    let mut digest = Digest::new("all", &RouteConfig { settle: zero, window: zero, ..CONFIG });
    for second in 0..3 {
        digest.add(1, &die("web"), at(second));
        assert_eq!(told(&mut digest, second), [(second, Phase::First, 1)]);
    }
}

#[test]
fn a_stop_tells_what_is_open() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.add(1, &die("web"), at(0));
    assert_eq!(rest(&mut digest), Some((Phase::First, 1)));
    digest.add(1, &die("web"), at(10));
    told(&mut digest, 20);
    digest.add(1, &die("web"), at(30));
    assert_eq!(rest(&mut digest), Some((Phase::Digest, 1)));
    assert_eq!(rest(&mut digest), None);
}

#[test]
fn a_run_that_ends_by_itself_tells_one_digest_at_the_end() {
    let mut digest = Digest::new("all", &CONFIG).at_end();
    for second in 0..5_000 {
        digest.add(1, &die("web"), at(second));
    }
    assert_eq!(digest.next_due(), None);
    assert_eq!(rest(&mut digest), Some((Phase::Digest, 5_000)));
    assert_eq!(rest(&mut digest), None);
}

fn crash(name: &str) -> Arc<Event> {
    let mut event = event(name, "die");
    event.facts.push((Fact::Cause, "crashed".into()));
    Arc::new(event)
}

#[test]
fn a_crash_behind_a_harmless_event_does_not_wait_for_the_window() {
    for window in [60, 86_400] {
        let window = Duration::from_secs(window);
        let mut digest = Digest::new("all", &RouteConfig { window, window_max: window, ..CONFIG });
        digest.add(1, &Arc::new(event("web", "create")), at(0));
        assert_eq!(told(&mut digest, 2), [(1, Phase::First, 1)]);
        digest.add(2, &Arc::new(event("web", "start")), at(2));
        digest.add(3, &crash("web"), at(3));
        digest.add(4, &crash("db"), at(3));
        assert_eq!(told(&mut digest, 50), [(4, Phase::Digest, 3)], "{window:?}");
    }
}

#[test]
fn what_is_no_worse_than_what_was_told_waits_for_the_window() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.add(1, &crash("web"), at(0));
    assert_eq!(told(&mut digest, 2), [(1, Phase::First, 1)]);
    for second in 2..200 {
        digest.add(2, &crash("web"), at(second));
    }
    assert_eq!(told(&mut digest, 61), [(61, Phase::Digest, 198)], "once per window");
    digest.add(3, &crash("db"), at(70));
    assert_eq!(told(&mut digest, 121), [(121, Phase::Digest, 1)]);
}

#[test]
fn a_window_is_broken_once_whether_dockbell_is_started_again_in_it_or_not() {
    let mut digest = Digest::new("all", &CONFIG);
    digest.add(1, &Arc::new(event("web", "create")), at(0));
    digest.reach(1);
    let rows = stored(vec![digest.turn(at(1)).unwrap().change]);
    let mut digest = Digest::new("all", &CONFIG);
    digest.restore(1, rows);
    digest.add(2, &crash("web"), at(5));
    digest.reach(2);
    let turn = digest.turn(at(6)).unwrap();
    assert_eq!(turn.batch.unwrap().total, 1);
    let mut digest = Digest::new("all", &CONFIG);
    digest.restore(2, stored(vec![turn.change]));
    digest.add(3, &crash("web"), at(7));
    assert_eq!(told(&mut digest, 100), [(66, Phase::Digest, 1)]);
}

#[test]
fn a_window_that_an_older_dockbell_stored_is_read() {
    let state = r#"{"length":{"secs":60,"nanos":0},"loops":[],"told":0,"fresh":false}"#;
    let row = GroupRow { key: "none:".to_owned(), state: state.to_owned(), due: Some(at(60)), sealed_through: 1 };
    let mut digest = Digest::new("all", &CONFIG);
    digest.restore(1, vec![row]);
    digest.add(2, &die("web"), at(10));
    assert_eq!(told(&mut digest, 100), [(60, Phase::Digest, 1)]);
}
