//! What is counted and kept of the events of a group.

use super::*;

fn event(number: i64, action: &str) -> Arc<Event> {
    Arc::new(Event { kind: "container".into(), action: action.into(), time_nanos: number, ..Event::default() })
}

#[test]
fn counts_are_exact_and_the_first_and_last_events_are_kept() {
    let mut collected = Collected::default();
    for number in 0..10_000 {
        collected.add(&event(number, if number % 4 == 0 { "die" } else { "start" }));
    }
    let batch = collected.seal(&"all".into(), "", Phase::Digest, vec![]);
    assert_eq!(batch.total, 10_000);
    assert_eq!(batch.counts, [("container start".to_owned(), 7_500), ("container die".to_owned(), 2_500)]);
    assert_eq!(batch.span_nanos, (0, 9_999));
    let times: Vec<i64> = batch.events.iter().map(|event| event.time_nanos).collect();
    assert_eq!(times, (0..50).chain(9_950..10_000).collect::<Vec<_>>());
    assert!((255_000..=between::MOST).contains(&batch.between.len()), "{}", batch.between.len());
    let next: serde_json::Value = serde_json::from_str(batch.between.lines().next().unwrap()).unwrap();
    assert_eq!((&next["timeNano"], &next["Action"]), (&50.into(), &"start".into()));
    assert_eq!(collected.total(), 0);
}

#[test]
fn an_engine_that_invents_actions_does_not_grow_the_counts_without_end() {
    let mut collected = Collected::default();
    for number in 0..1_000 {
        collected.add(&event(number, &format!("action-{number}")));
    }
    let batch = collected.seal(&"all".into(), "", Phase::Digest, vec![]);
    assert_eq!(batch.counts.iter().map(|(_, count)| count).sum::<u32>(), 1_000);
    assert_eq!(batch.counts[0], ("other events".to_owned(), 744));
}

#[test]
fn merged_batches_count_everything_and_keep_the_first_and_the_last_events() {
    let batch = |numbers: std::ops::Range<i64>, action: &str| {
        let mut collected = Collected::default();
        numbers.for_each(|number| collected.add(&event(number, action)));
        collected.seal(&"all".into(), "shop", Phase::Digest, vec![])
    };
    assert_eq!(merge(vec![batch(0..1, "die")], batch(1..2, "start")).events.len(), 2);
    let merged = merge(vec![batch(0..40, "die"), batch(40..140, "start")], batch(140..160, "die"));
    assert_eq!((merged.total, merged.span_nanos, &*merged.group), (160, (0, 159), "shop"));
    assert_eq!(merged.counts, [("container start".to_owned(), 100), ("container die".to_owned(), 60)]);
    let times: Vec<i64> = merged.events.iter().map(|event| event.time_nanos).collect();
    assert_eq!(times, (0..50).chain(110..160).collect::<Vec<_>>());
    assert_eq!(merged.between.lines().count(), 60, "nothing is missing");
}

#[test]
fn small_batches_are_merged_whole() {
    for sizes in [[1, 1], [30, 40], [50, 50], [51, 50]] {
        let batch = |from: i64, count: i64| {
            let mut collected = Collected::default();
            (from..from + count).for_each(|number| collected.add(&event(number, &format!("action-{number}"))));
            collected.seal(&"all".into(), "", Phase::First, vec![])
        };
        let merged = merge(vec![batch(0, sizes[0])], batch(sizes[0], sizes[1]));
        assert_eq!(i64::try_from(merged.events.len()).unwrap(), (sizes[0] + sizes[1]).min(100), "{sizes:?}");
        assert_eq!(merged.counts.len(), usize::try_from(sizes[0] + sizes[1]).unwrap());
    }
}

#[test]
fn merging_does_not_grow_the_counts_without_end() {
    let batch = |from: i64| {
        let mut collected = Collected::default();
        (from..from + 200).for_each(|number| collected.add(&event(number, &format!("action-{number}"))));
        collected.seal(&"all".into(), "", Phase::Digest, vec![])
    };
    let merged = merge(vec![batch(0), batch(200)], batch(400));
    assert_eq!(merged.counts.iter().map(|(_, count)| count).sum::<u32>(), 600);
    assert_eq!((merged.counts.len(), &*merged.counts[0].0), (257, "other events"));
}

fn loud(container: usize, bytes: usize) -> Arc<Event> {
    let attributes = [("name".to_owned(), format!("loud-{container}")), ("label".to_owned(), "x".repeat(bytes))];
    let attributes = attributes.into_iter().collect();
    Arc::new(Event { kind: "container".into(), action: "die".into(), attributes, ..Event::default() })
}

#[test]
fn events_with_huge_labels_are_kept_shortened_and_the_message_says_so() {
    let room = Room::of(64 << 20);
    let mut collected = Collected::within(&room);
    for container in 0..40 {
        collected.add(&loud(container, 500_000));
    }
    assert!(room.taken() < 2 << 20, "{}", room.taken());
    let batch = collected.seal(&"all".into(), "", Phase::Digest, vec![]);
    assert_eq!((batch.total, batch.events.len()), (40, 40));
    let [note] = &batch.notes[..] else { panic!("{:?}", batch.notes) };
    assert!(note.starts_with("40 events are too long to be kept whole") && note.contains("loud-0, "), "{note}");
    assert_eq!(room.taken(), 0, "what was sealed takes no room");
}

#[test]
fn however_many_groups_there_are_they_stay_within_one_room_and_each_names_somebody() {
    let room = Room::of(4 << 20);
    let mut groups: Vec<Collected> = (0..300).map(|_| Collected::within(&room)).collect();
    for _ in 0..200 {
        for (container, group) in groups.iter_mut().enumerate() {
            group.add(&loud(container, if container < 40 { 500_000 } else { 1000 }));
        }
    }
    // The first event of a group is kept in any case.
    assert!(room.taken() <= (4 << 20) + 300 * 1500, "{}", room.taken());
    for (container, mut group) in groups.into_iter().enumerate() {
        let batch = group.seal(&"all".into(), "", Phase::Digest, vec![]);
        assert_eq!((batch.total, batch.counts[0].1), (200, 200));
        assert_eq!(batch.events[0].who(), format!("loud-{container}"));
        let not_kept = batch.notes.iter().find(|note| note.contains("counted but not kept")).expect("a note");
        let count: usize = not_kept.split(' ').next().unwrap().parse().unwrap();
        assert!(count >= 200 - batch.events.len() - batch.between.lines().count(), "{not_kept}");
        assert!(not_kept.ends_with("all open digests together have 4 MiB of memory"), "{not_kept}");
    }
    assert_eq!(room.taken(), 0);
}

#[test]
fn the_newest_event_is_kept_rather_than_those_before_it() {
    let room = Room::of(100 << 10);
    let mut collected = Collected::within(&room);
    (0..1000).for_each(|number| collected.add(&event(number, "die")));
    let batch = collected.seal(&"all".into(), "", Phase::Digest, vec![]);
    assert_eq!(batch.events.last().map(|event| event.time_nanos), Some(999));
    assert_eq!(batch.events.first().map(|event| event.time_nanos), Some(0));
    assert_eq!(batch.total, 1000);
}

#[test]
fn notes_are_told_once_and_those_beyond_the_most_are_counted_exactly() {
    let batch = |numbers: std::ops::Range<usize>| {
        let notes = numbers.map(|number| format!("note {number}")).chain(["the same".to_owned()]).collect();
        Collected::default().seal(&"all".into(), "", Phase::Digest, notes)
    };
    let last = |notes: &[String]| notes.last().cloned().unwrap();
    // For days each digest joins the one that waits: as it was stored, again and again.
    let mut waiting = batch(0..1);
    for number in 1..500 {
        waiting = merge(vec![waiting], batch(number..number + 1));
    }
    assert_eq!(waiting.notes.len(), MAX_NOTES + 1);
    assert_eq!(waiting.notes.iter().filter(|note| *note == "the same").count(), 1);
    // Of 501 different ones.
    assert_eq!(last(&waiting.notes), "401 more notes are counted but not shown");
    let together = merge((0..499).map(|number| batch(number..number + 1)).collect(), batch(499..500));
    assert_eq!(together.notes, waiting.notes);
    // One batch alone has no more than that, nor has the earliest of several.
    let alone = batch(0..500);
    assert_eq!((alone.notes.len(), last(&alone.notes)), (MAX_NOTES + 1, last(&waiting.notes)));
    let pair = merge(vec![alone.clone()], alone);
    assert_eq!((pair.notes.len(), last(&pair.notes).split(' ').next()), (MAX_NOTES + 1, Some("802")));
}
