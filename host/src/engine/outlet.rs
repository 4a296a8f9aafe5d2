//! The way from the reader to what is behind it: never waits, and counts what did not fit.

use std::sync::Arc;

use jiff::Timestamp;

use super::batch::Batch;
use crate::event::{Event, nanos};
use crate::queue::{Refused, Sender, Weigh};
use crate::store::{Gap, Moved};
use crate::text;

/// A gap is told when at least this part of the queue is free: else each event that fits would begin the next one.
const FREE_PART: usize = 8;

/// Puts batches of events into the queue. When the queue is full it counts, and tells the gap as soon as there is room.
#[derive(Debug)]
pub(super) struct Outlet {
    engine: Arc<str>,
    queue: Sender<Batch>,
    /// Time of the last event that was put in.
    last: Option<i64>,
    missed: Option<Missed>,
}

/// Events that did not fit.
#[derive(Debug, Clone, Copy)]
struct Missed {
    count: u64,
    gap: Gap,
}

impl Outlet {
    pub(super) fn new(engine: Arc<str>, queue: Sender<Batch>) -> Self {
        Self { engine, queue, last: None, missed: None }
    }

    /// Hands a batch over, behind the gap if there is one.
    pub(super) fn push(&mut self, batch: Batch) {
        if batch.events.is_empty() && batch.moved.is_none() {
            return;
        }
        self.tell_gap_before(batch.weight());
        if self.missed.is_some() {
            return self.miss(&batch);
        }
        let last = batch.moved.as_ref().and_then(|moved| moved.last_nanos);
        match self.queue.try_send(batch) {
            Ok(()) => self.last = last.or(self.last),
            Err(Refused::Full(batch)) => self.miss(&batch),
            // Nobody takes events out any more: the reader is about to end.
            Err(Refused::Closed(_)) => {}
        }
    }

    /// Tells one of dockbell's own events, now.
    pub(super) fn tell(&mut self, action: &str, attributes: &[(&str, &str)]) {
        let attributes = attributes.iter().copied().collect();
        let event = Event::own(Arc::clone(&self.engine), action, nanos(Timestamp::now()), attributes);
        self.push(own(event));
    }

    /// Tells that events between two times are missing.
    /// `moved` is the position in the stream behind the gap.
    pub(super) fn tell_missing(&mut self, reason: &str, gap: Gap, moved: Moved) {
        let mut batch = own(self.missing(reason, gap));
        (batch.moved, batch.gap) = (Some(moved), Some(gap));
        self.push(batch);
    }

    /// Returns the event that tells that others are missing, and logs it.
    pub(super) fn missing(&self, reason: &str, gap: Gap) -> Event {
        let Gap { from, to } = gap;
        let [shown_from, shown_to] = [from, to].map(|nanos| text::second(&time(nanos)).into_owned());
        tracing::error!(engine = %self.engine, "events are missing between {shown_from} and {shown_to}: {reason}");
        self.gap_event([("from", time(from)), ("reason", reason.to_owned()), ("to", time(to))])
    }

    /// Whether there is a gap that could not be told yet.
    pub(super) fn is_behind(&self) -> bool {
        self.missed.is_some()
    }

    /// Waits until the gap can be told; for ever when there is none.
    pub(super) async fn room(&self) {
        match self.missed {
            Some(missed) => self.queue.room(self.wanted(&self.fell_behind(missed))).await,
            None => std::future::pending().await,
        }
    }

    /// Tells the gap if there is one and the queue has room for it.
    pub(super) fn tell_gap(&mut self) {
        self.tell_gap_before(0);
    }

    /// The same if there is room for so many bytes behind it as well.
    fn tell_gap_before(&mut self, bytes: usize) {
        let Some(missed) = self.missed else { return };
        let gap = self.fell_behind(missed);
        if self.queue.has_room(self.wanted(&gap).max(gap.weight() + bytes)) && self.queue.try_send(gap).is_ok() {
            self.missed = None;
            tracing::error!(engine = %self.engine, "{} events were missed: dockbell fell behind", missed.count);
        }
    }

    /// How much room there should be for a gap to be told.
    fn wanted(&self, gap: &Batch) -> usize {
        gap.weight().max(self.queue.bytes() / FREE_PART)
    }

    fn miss(&mut self, batch: &Batch) {
        for event in &batch.events {
            let time = event.time_nanos;
            let from = self.last.map_or(time, |last| last.min(time));
            let missed = self.missed.get_or_insert(Missed { count: 0, gap: Gap { from, to: time } });
            missed.count += 1;
            missed.gap = missed.gap.and(Gap { from: time, to: time });
        }
        // A gap that did not fit becomes part of the one that is told instead.
        if let (Some(missed), Some(gap)) = (&mut self.missed, batch.gap) {
            missed.gap = missed.gap.and(gap);
        }
    }

    fn fell_behind(&self, missed: Missed) -> Batch {
        let Missed { count, gap } = missed;
        let reason = "dockbell fell behind".to_owned();
        let texts = [("from", time(gap.from)), ("missed", count.to_string()), ("reason", reason), ("to", time(gap.to))];
        let mut batch = own(self.gap_event(texts));
        batch.gap = Some(gap);
        batch
    }

    fn gap_event<const N: usize>(&self, attributes: [(&str, String); N]) -> Event {
        let attributes = attributes.into_iter().collect();
        Event::own(Arc::clone(&self.engine), "gap", nanos(Timestamp::now()), attributes)
    }
}

fn time(nanos: i64) -> String {
    Timestamp::from_nanosecond(nanos.into()).unwrap_or_default().to_string()
}

fn own(event: Event) -> Batch {
    let mut batch = Batch::default();
    batch.push(event, &[]);
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Receiver, queue};

    /// An event of the engine at this second, and the position behind it.
    fn batch(second: i64) -> Batch {
        let nanos = second * 1_000_000_000;
        let mut batch = own(Event { time_nanos: nanos, kind: "container".into(), ..Event::default() });
        batch.moved = Some(Moved { last_nanos: Some(nanos), ..Moved::default() });
        batch
    }

    /// An outlet, and a queue for so many of those.
    fn outlet(events: usize) -> (Outlet, Receiver<Batch>) {
        let (sender, receiver) = queue(u32::try_from(events * batch(0).weight()).unwrap());
        (Outlet::new("local".into(), sender), receiver)
    }

    fn missed(batch: &Batch) -> Option<u64> {
        batch.events[0].attribute("missed")?.parse().ok()
    }

    #[tokio::test]
    async fn a_gap_is_told_once_though_there_is_room_for_single_events_again_and_again() {
        const EVENTS: i64 = 2_000;
        let (mut outlet, mut receiver) = outlet(64);
        let mut batches = Vec::new();
        for second in 0..EVENTS {
            outlet.push(batch(second));
            if second >= 100 && second % 2 == 0 {
                batches.push(receiver.recv().await.unwrap());
            }
        }
        while outlet.is_behind() {
            batches.push(receiver.recv().await.unwrap());
            outlet.tell_gap();
        }
        drop(outlet);
        while let Some(batch) = receiver.recv().await {
            batches.push(batch);
        }
        let gaps: Vec<_> = batches.iter().filter_map(missed).collect();
        let told = batches.len() - gaps.len();
        assert_eq!(told as u64 + gaps.iter().sum::<u64>(), 2_000, "each event is told or counted");
        // An eighth of the queue is eight events, for which sixteen have to come.
        assert!((2..=EVENTS as usize / 16).contains(&gaps.len()), "{} gaps", gaps.len());
        for pair in batches.windows(2).filter(|pair| missed(&pair[1]).is_some()) {
            let gap = pair[1].gap.unwrap();
            assert_eq!(gap.from, pair[0].events[0].time_nanos, "from the last event before it");
            assert_eq!(
                (gap.to - gap.from) / 1_000_000_000,
                missed(&pair[1]).unwrap().cast_signed(),
                "to the last of it"
            );
        }
    }

    #[tokio::test]
    async fn a_gap_for_which_there_is_no_room_becomes_part_of_the_one_that_is_told() {
        let (mut outlet, mut receiver) = outlet(8);
        (10..20).for_each(|second| outlet.push(batch(second)));
        let engine = Gap { from: 1_000_000_000, to: 30_000_000_000 };
        outlet.tell_missing("the engine forgot", engine, Moved::default());
        for _ in 10..18 {
            assert_eq!(missed(&receiver.recv().await.unwrap()), None);
        }
        outlet.tell_gap();
        let told = receiver.recv().await.unwrap();
        assert_eq!(told.gap.unwrap().from, engine.from);
        assert!(told.gap.unwrap().to >= engine.to);
        assert!(!outlet.is_behind());
    }
}
