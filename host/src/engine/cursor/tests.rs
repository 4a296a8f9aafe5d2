use super::*;

fn event(name: &str, seconds: i64) -> Event {
    Event {
        attributes: [("name", name)].into_iter().collect(),
        time_nanos: seconds * 1_000_000_000,
        ..Event::default()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

const SECOND: i64 = 1_000_000_000;

fn gap(from: i64, to: Option<i64>) -> Finding {
    Finding::Missing(OpenGap { from: from * SECOND, to: to.map(|to| to * SECOND) })
}

fn is_missing(replayed: Option<Replayed>) -> bool {
    matches!(replayed.unwrap().finding, Finding::Missing(_))
}

/// The cursor of the next run, where the position was stored with these events.
fn later(cursor: &mut Cursor, events: &[(&str, i64)]) -> Cursor {
    let Moved { last_nanos, anchor, gap, .. } = cursor.position();
    let keys = events.iter().map(|(name, second)| cursor.key(&event(name, *second))).collect();
    Cursor::resume(EngineCursor { last_nanos, anchor, keys, gap, engine_id: None })
}

/// A cursor that has read `a` at 100 s and was connected again at 200 s.
fn again() -> Cursor {
    let mut cursor = Cursor::default();
    cursor.connected(at(50), false);
    cursor.take(&event("a", 100));
    let replayed = Replayed { finding: Finding::Nothing, count: 1, oldest_nanos: Some(100_000_000_000) };
    assert_eq!(cursor.replayed(None), Some(replayed));
    cursor.disconnected(at(150));
    cursor.connected(at(200), true);
    cursor
}

#[test]
fn a_reconnect_asks_for_a_minute_before_the_last_event() {
    let cursor = again();
    assert_eq!(cursor.since(at(10), at(200)), at(40));
    assert_eq!(cursor.since(at(90), at(200)), at(90), "never for what was before the start");
    assert_eq!(cursor.since(at(10), at(80)), at(20), "never in the engine's future");
    assert_eq!(cursor.since(at(150), at(200)), at(40), "the clock was set back behind the start");
    assert_eq!(Cursor::default().since(at(10), at(200)), at(10));
}

#[test]
fn what_is_repeated_is_known_and_what_is_not_is_late() {
    let mut cursor = again();
    assert_eq!(cursor.take(&event("a", 100)), Verdict::Known);
    assert_eq!(cursor.take(&event("b", 150)), Verdict::Late);
    assert_eq!(cursor.take(&event("c", 200)), Verdict::New);
    assert_eq!(cursor.take(&event("c", 200)), Verdict::Known, "out of the memory and live");
    assert!(!is_missing(cursor.replayed(None)));
    assert_eq!(cursor.replayed(None), None);
}

#[test]
fn a_replay_without_the_last_known_event_has_lost_something() {
    let mut cursor = again();
    cursor.take(&event("b", 150));
    let replayed = cursor.replayed(None).unwrap();
    assert_eq!((replayed.finding, replayed.count), (gap(100, Some(150)), 1));
}

#[test]
fn a_replay_that_broke_off_has_decided_nothing() {
    let mut cursor = again();
    cursor.take(&event("b", 150));
    cursor.disconnected(at(250));
    cursor.connected(at(300), true);
    cursor.take(&event("b", 150));
    cursor.take(&event("c", 301));
    assert_eq!(cursor.replayed(None).unwrap().finding, gap(100, Some(150)), "`a` is still missing");
}

#[test]
fn a_gap_that_is_not_decided_is_part_of_the_position_with_its_times() {
    let mut cursor = again();
    cursor.take(&event("b", 150));
    for _ in 0..3 {
        cursor = later(&mut cursor, &[("a", 100), ("b", 150)]);
        // Where the engine repeats what shows it, not a minute before the last event.
        assert_eq!(cursor.since(at(0), at(500)), at(40));
        cursor.connected(at(500), true);
        assert_eq!(cursor.take(&event("b", 150)), Verdict::Known);
    }
    assert_eq!(cursor.replayed(None).unwrap().finding, gap(100, Some(150)));
    let mut cursor = later(&mut cursor, &[("a", 100), ("b", 150)]);
    cursor.connected(at(600), true);
    cursor.take(&event("b", 150));
    assert!(!is_missing(cursor.replayed(None)), "it is told once");
}

#[test]
fn a_memory_that_is_full_and_begins_with_something_new_is_a_gap_though_there_is_no_anchor() {
    for count in [2, 3] {
        let position = EngineCursor { last_nanos: Some(100 * SECOND), ..EngineCursor::default() };
        let mut cursor = Cursor::resume(position);
        cursor.connected(at(500), true);
        for number in 0..count {
            cursor.take(&event("b", 300 + number));
        }
        let names: Vec<_> = (0..count).map(|number| ("b", 300 + number)).collect();
        // Killed before it was decided.
        let mut next = later(&mut cursor, &names);
        next.connected(at(501), true);
        for number in 0..count {
            next.take(&event("b", 300 + number));
        }
        for mut cursor in [cursor, next] {
            let between = OpenGap { from: 100 * SECOND, to: Some(300 * SECOND) };
            let finding = if count == 3 { Finding::Missing(between) } else { Finding::Unproven(between) };
            assert_eq!(cursor.replayed(Some(3)).unwrap().finding, finding);
        }
    }
}

#[test]
fn without_an_anchor_what_was_read_before_a_kill_must_come_again() {
    let position = EngineCursor { last_nanos: Some(100 * SECOND), ..EngineCursor::default() };
    let mut cursor = Cursor::resume(position);
    cursor.connected(at(500), true);
    cursor.take(&event("b", 300));
    let mut next = later(&mut cursor, &[("b", 300)]);
    next.connected(at(600), true);
    assert_eq!(next.replayed(Some(256)).unwrap().finding, gap(100, Some(300)));
}

#[test]
fn what_the_stream_skipped_before_the_last_event_is_a_gap_from_the_event_before_it() {
    let mut cursor = Cursor::default();
    cursor.connected(at(50), false);
    for second in [100, 110, 400] {
        cursor.take(&event("a", second));
    }
    cursor.replayed(None);
    cursor.disconnected(at(410));
    cursor.connected(at(420), true);
    cursor.take(&event("skipped", 300));
    cursor.take(&event("a", 400));
    let mut undecided = later(&mut cursor, &[("a", 100), ("a", 110), ("a", 400), ("skipped", 300)]);
    assert_eq!(cursor.replayed(Some(2)).unwrap().finding, gap(110, Some(300)));
    undecided.connected(at(430), true);
    undecided.take(&event("skipped", 300));
    undecided.take(&event("a", 400));
    assert_eq!(undecided.replayed(Some(2)).unwrap().finding, gap(110, Some(300)));
}

#[test]
fn what_an_audit_found_is_known_and_leaves_the_position_where_the_stream_is() {
    let mut cursor = again();
    cursor.take(&event("a", 100));
    cursor.replayed(None);
    cursor.take(&event("c", 300));
    cursor.recover([event("b", 200)].iter());
    assert_eq!(cursor.take(&event("b", 200)), Verdict::Known, "should the stream bring it after all");
    let anchor = cursor.key(&event("c", 300));
    let position = cursor.position();
    assert_eq!((position.anchor, position.last_nanos, position.keys.len()), (Some(anchor), Some(300 * SECOND), 3));
}

#[test]
fn a_replay_ends_with_the_first_event_that_is_surely_new() {
    let cursor = again();
    assert!(!cursor.ends_replay(&event("b", 201)), "the clock is known to a second");
    assert!(cursor.ends_replay(&event("b", 202)));
}

#[test]
fn what_the_engine_forgot_is_told_once_however_often_the_program_starts_again() {
    let mut cursor = again();
    assert!(is_missing(cursor.replayed(None)));
    let next = later(&mut cursor, &[("a", 100)]);
    cursor.disconnected(at(300));
    for mut cursor in [cursor, next] {
        cursor.connected(at(400), true);
        assert!(!is_missing(cursor.replayed(None)));
        cursor.take(&event("b", 401));
        assert!(cursor.position().anchor.is_some());
    }
}

#[test]
fn memory_is_bounded() {
    let mut cursor = Cursor::default();
    for second in 0..10_000 {
        assert_eq!(cursor.take(&event("a", second)), Verdict::New);
    }
    assert_eq!(cursor.known.len(), KNOWN);
}

#[test]
fn every_part_of_an_event_is_part_of_its_key() {
    let mut cursor = Cursor::default();
    let base = Event { detail: "ab".into(), actor_id: "c".to_owned(), ..event("a", 1) };
    let mut others = vec![base.clone(); 7];
    others[0].detail = "a".into();
    others[0].actor_id = "bc".to_owned();
    others[1].time_nanos += 1;
    others[2].kind = "x".into();
    others[3].action = "x".into();
    others[4].scope = "x".into();
    others[5].attributes = [("name", "x")].into_iter().collect();
    others[6].attributes.push("x", "");
    let key = cursor.key(&base);
    assert_eq!(cursor.key(&base.clone()), key);
    for other in others {
        assert_ne!(cursor.key(&other), key, "{other:?}");
    }
}
