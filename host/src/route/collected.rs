//! What a group has brought since its last message: exact counts, the first and the last events.

use std::collections::VecDeque;
use std::sync::Arc;

use super::between;
use crate::event::Event;
use crate::message::{Batch, Phase};

/// Events kept from the beginning of a batch, and as many from its end.
pub const EDGE: usize = 50;
/// Different kinds and actions counted one by one; engines know about sixty, so only a broken or hostile one has more.
const MAX_COUNTS: usize = 256;

/// Events of one group that wait to be told; its size does not depend on how many there are.
#[derive(Debug, Default)]
pub struct Collected {
    total: u32,
    counts: Vec<Count>,
    first: Vec<Arc<Event>>,
    last: VecDeque<Arc<Event>>,
    span_nanos: Option<(i64, i64)>,
    /// Events between the first and the last ones, as lines of JSON, while there is room for all of them.
    between: String,
    /// Whether some of them did not fit.
    cut: bool,
}

#[derive(Debug)]
struct Count {
    kind: String,
    action: String,
    events: u32,
}

impl Collected {
    /// How many events wait.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// Adds one event. `room` is what all batches together may still keep of the events between the first and the last
    /// ones, in bytes.
    pub fn add(&mut self, event: &Arc<Event>, room: &mut usize) {
        self.total = self.total.saturating_add(1);
        self.count(&event.kind, &event.action);
        let time = event.time_nanos;
        self.span_nanos = Some(self.span_nanos.map_or((time, time), |(from, to)| (from.min(time), to.max(time))));
        if self.first.len() < EDGE {
            self.first.push(Arc::clone(event));
            return;
        }
        if self.last.len() == EDGE {
            let leaves = self.last.pop_front();
            if let Some(event) = leaves.filter(|_| !self.cut) {
                let line = between::line(&event);
                self.cut = self.between.len() + line.len() > between::MOST || line.len() > *room;
                if !self.cut {
                    *room -= line.len();
                    self.between.push_str(&line);
                }
            }
        }
        self.last.push_back(Arc::clone(event));
    }

    fn count(&mut self, kind: &str, action: &str) {
        let known = self.counts.iter().position(|count| count.action == action && count.kind == kind);
        let place = known.unwrap_or_else(|| {
            let full = self.counts.len() >= MAX_COUNTS;
            let (kind, action) = if full { ("other", "events") } else { (kind, action) };
            if self.counts.len() <= MAX_COUNTS {
                self.counts.push(Count { kind: kind.to_owned(), action: action.to_owned(), events: 0 });
            }
            self.counts.len() - 1
        });
        let count = &mut self.counts[place];
        count.events = count.events.saturating_add(1);
    }

    /// Makes a batch of what waits and begins anew.
    pub fn seal(&mut self, route: &Arc<str>, group: &str, phase: Phase, notes: Vec<String>) -> Batch {
        let mut taken = std::mem::take(self);
        taken.counts.sort_by_key(|count| std::cmp::Reverse(count.events));
        let mut events = taken.first;
        events.extend(taken.last);
        Batch {
            route: Arc::clone(route),
            group: group.to_owned(),
            phase,
            total: taken.total,
            span_nanos: taken.span_nanos.unwrap_or_default(),
            counts: taken
                .counts
                .into_iter()
                .map(|count| (format!("{} {}", count.kind, count.action), count.events))
                .collect(),
            events,
            notes,
            between: taken.between,
        }
    }
}

/// One batch that tells what several of the same group would have told, the earliest first; as exact as they are.
#[must_use]
pub fn merge(mut earlier: Vec<Batch>, later: Batch) -> Batch {
    earlier.push(later);
    let mut batches = earlier.into_iter();
    let Some(mut all) = batches.next() else { unreachable!("one was pushed") };
    for next in batches {
        all.phase = Phase::Digest;
        all.span_nanos = match (all.total, next.total) {
            (0, _) => next.span_nanos,
            (_, 0) => all.span_nanos,
            _ => (all.span_nanos.0.min(next.span_nanos.0), all.span_nanos.1.max(next.span_nanos.1)),
        };
        all.total = all.total.saturating_add(next.total);
        for (what, count) in next.counts {
            let known = all.counts.iter().any(|(known, _)| *known == what);
            let what = if known || all.counts.len() < MAX_COUNTS { what } else { "other events".to_owned() };
            match all.counts.iter_mut().find(|(known, _)| *known == what) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => all.counts.push((what, count)),
            }
        }
        all.events.extend(next.events);
        let middle = if all.events.len() > 2 * EDGE { EDGE..all.events.len() - EDGE } else { 0..0 };
        // In their order as far as that is known: what was between before comes from before the last ones.
        all.between.push_str(&next.between);
        for event in all.events.drain(middle) {
            let line = between::line(&event);
            if all.between.len() + line.len() <= between::MOST {
                all.between.push_str(&line);
            }
        }
        all.between.truncate(all.between.floor_char_boundary(between::MOST));
        all.between.truncate(all.between.rfind('\n').map_or(0, |end| end + 1));
        all.notes.extend(next.notes);
    }
    all.counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: i64, action: &str) -> Arc<Event> {
        Arc::new(Event { kind: "container".into(), action: action.into(), time_nanos: number, ..Event::default() })
    }

    #[test]
    fn counts_are_exact_and_the_first_and_last_events_are_kept() {
        let (mut collected, mut room) = (Collected::default(), 10_000);
        for number in 0..10_000 {
            collected.add(&event(number, if number % 4 == 0 { "die" } else { "start" }), &mut room);
        }
        let batch = collected.seal(&"all".into(), "", Phase::Digest, vec![]);
        assert_eq!(batch.total, 10_000);
        assert_eq!(batch.counts, [("container start".to_owned(), 7_500), ("container die".to_owned(), 2_500)]);
        assert_eq!(batch.span_nanos, (0, 9_999));
        let times: Vec<i64> = batch.events.iter().map(|event| event.time_nanos).collect();
        assert_eq!(times, (0..50).chain(9_950..10_000).collect::<Vec<_>>());
        assert!((9_000..=10_000).contains(&batch.between.len()), "{}", batch.between.len());
        let next: serde_json::Value = serde_json::from_str(batch.between.lines().next().unwrap()).unwrap();
        assert_eq!((&next["timeNano"], &next["Action"]), (&50.into(), &"start".into()));
        assert_eq!(collected.total(), 0);
    }

    #[test]
    fn an_engine_that_invents_actions_does_not_grow_the_counts_without_end() {
        let mut collected = Collected::default();
        for number in 0..1_000 {
            collected.add(&event(number, &format!("action-{number}")), &mut 0);
        }
        let batch = collected.seal(&"all".into(), "", Phase::Digest, vec![]);
        assert_eq!(batch.counts.iter().map(|(_, count)| count).sum::<u32>(), 1_000);
        assert_eq!(batch.counts[0], ("other events".to_owned(), 744));
    }

    #[test]
    fn merged_batches_count_everything_and_keep_the_first_and_the_last_events() {
        let batch = |numbers: std::ops::Range<i64>, action: &str| {
            let mut collected = Collected::default();
            numbers.for_each(|number| collected.add(&event(number, action), &mut 1_000_000));
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
                (from..from + count)
                    .for_each(|number| collected.add(&event(number, &format!("action-{number}")), &mut 0));
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
            (from..from + 200).for_each(|number| collected.add(&event(number, &format!("action-{number}")), &mut 0));
            collected.seal(&"all".into(), "", Phase::Digest, vec![])
        };
        let merged = merge(vec![batch(0), batch(200)], batch(400));
        assert_eq!(merged.counts.iter().map(|(_, count)| count).sum::<u32>(), 600);
        assert_eq!((merged.counts.len(), &*merged.counts[0].0), (257, "other events"));
    }
}
