//! What a group has brought since its last message: exact counts, the first and the last events.

use std::collections::VecDeque;
use std::sync::Arc;

use super::between;
use super::room::{Room, Taken};
use super::shorten::shorten;
use crate::event::Event;
use crate::message::{Batch, Phase};
use crate::text;

/// Events kept from the beginning of a batch, and as many from its end.
pub const EDGE: usize = 50;
/// Different kinds and actions counted one by one; engines know about sixty, so only a broken or hostile one has more.
const MAX_COUNTS: usize = 256;

/// Names of containers whose events were shortened that are named in a message.
const NAMED: usize = 5;
/// Different notes that are shown in a message; those beyond are counted.
const MAX_NOTES: usize = 100;

/// Events of one group that wait to be told; its size does not depend on how many there are, and all of them together take
/// no more memory than their [`Room`] has.
#[derive(Debug)]
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
    /// The memory of the events that are kept, and of those between.
    taken: Taken,
    /// How many events are kept shortened, and of whom the first of them are.
    shortened: (u32, Vec<String>),
    /// How many events are not among those that are shown because there was no room.
    not_kept: u32,
}

#[derive(Debug)]
struct Count {
    kind: String,
    action: String,
    events: u32,
}

impl Default for Collected {
    /// With a room of its own.
    fn default() -> Self {
        Self::within(&Room::default())
    }
}

impl Collected {
    /// Nothing yet, of events that take their memory from this room.
    #[must_use]
    pub fn within(room: &Room) -> Self {
        Self {
            total: 0,
            counts: Vec::new(),
            first: Vec::new(),
            last: VecDeque::new(),
            span_nanos: None,
            between: String::new(),
            cut: false,
            taken: room.clone().take_nothing(),
            shortened: (0, Vec::new()),
            not_kept: 0,
        }
    }

    /// How many events wait.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// Adds one event. It is counted in any case; it is kept, perhaps shortened, where there is room for it.
    pub fn add(&mut self, event: &Arc<Event>) {
        self.total = self.total.saturating_add(1);
        self.count(&event.kind, &event.action);
        let time = event.time_nanos;
        self.span_nanos = Some(self.span_nanos.map_or((time, time), |(from, to)| (from.min(time), to.max(time))));
        let is_early = self.first.len() < EDGE && self.not_kept == 0;
        if !is_early && self.last.len() == EDGE {
            self.let_go();
        }
        let mut kept = self.keep(event);
        // The newest says more than what came long before it.
        while kept.is_none() && !self.last.is_empty() {
            self.not_kept = self.not_kept.saturating_add(1);
            self.let_go();
            kept = self.keep(event);
        }
        match kept {
            Some(event) if is_early => self.first.push(event),
            Some(event) => self.last.push_back(event),
            None => self.not_kept = self.not_kept.saturating_add(1),
        }
    }

    /// Takes the memory for an event; `None` where there is none. The first event of a group is always kept: a message that
    /// names nobody says nothing.
    fn keep(&mut self, event: &Arc<Event>) -> Option<Arc<Event>> {
        let offer = self.taken.room().offer();
        let (kept, is_cut) = if event.weight() <= offer {
            (Arc::clone(event), false)
        } else {
            let (short, is_cut) = shorten(event, offer);
            (Arc::new(short), is_cut)
        };
        let weight = kept.weight();
        if !self.taken.add(weight, 0) {
            if !self.first.is_empty() || !self.last.is_empty() {
                return None;
            }
            self.taken.add_anyway(weight);
        }
        if is_cut {
            let (count, names) = &mut self.shortened;
            *count = count.saturating_add(1);
            let who = text::one_line(kept.who(), 60);
            if names.len() <= NAMED && !names.contains(&who) {
                names.push(who);
            }
        }
        Some(kept)
    }

    /// Moves the first of the last events to those between, if there is room for its line.
    fn let_go(&mut self) {
        let Some(event) = self.last.pop_front() else { return };
        self.taken.remove(event.weight());
        if self.cut {
            return;
        }
        let line = between::line(&event);
        let most = between::MOST.saturating_sub(self.between.len());
        // Only events in full may take the second half of the room.
        self.cut = line.len() > most || !self.taken.add(line.len(), self.taken.room().limit() / 2);
        if !self.cut {
            self.between.push_str(&line);
        }
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
    pub fn seal(&mut self, route: &Arc<str>, group: &str, phase: Phase, told: Vec<String>) -> Batch {
        let next = Self::within(self.taken.room());
        let mut taken = std::mem::replace(self, next);
        let mut notes = taken.notes().collect();
        add_notes(&mut notes, told);
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

    /// What a message must say about events that are not in it in full.
    fn notes(&self) -> impl Iterator<Item = String> + use<> {
        let (count, names) = &self.shortened;
        let shortened = (*count > 0).then(|| {
            let more = if names.len() > NAMED { " and others" } else { "" };
            let names = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            format!(
                "{} too long to be kept whole, long values of labels are cut: {names}{more}",
                events(*count, "is", "are")
            )
        });
        let not_kept = (self.not_kept > 0).then(|| {
            let limit = self.taken.room().limit() >> 20;
            format!(
                "{} counted but not kept: all open digests together have {limit} MiB of memory",
                events(self.not_kept, "is", "are")
            )
        });
        shortened.into_iter().chain(not_kept)
    }
}

/// `1 event is`, `3 events are`.
fn events(count: u32, one: &str, many: &str) -> String {
    if count == 1 { format!("1 event {one}") } else { format!("{count} events {many}") }
}

/// One batch that tells what several of the same group would have told, the earliest first; as exact as they are.
#[must_use]
pub fn merge(mut earlier: Vec<Batch>, later: Batch) -> Batch {
    earlier.push(later);
    let mut batches = earlier.into_iter();
    let Some(mut all) = batches.next() else { unreachable!("one was pushed") };
    let notes = std::mem::take(&mut all.notes);
    add_notes(&mut all.notes, notes);
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
        add_notes(&mut all.notes, next.notes);
    }
    all.counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all
}

/// Adds notes that are not there yet, as many as a message shows, and counts the others in a last one.
pub fn add_notes(notes: &mut Vec<String>, mut more: Vec<String>) {
    let mut further = take_further(notes).saturating_add(take_further(&mut more));
    for note in more {
        if notes.contains(&note) {
            continue;
        }
        if notes.len() < MAX_NOTES {
            notes.push(note);
        } else {
            further = further.saturating_add(1);
        }
    }
    if further > 0 {
        notes.push(format!("{further}{FURTHER}"));
    }
}

/// The end of the last note, which says how many others there were.
const FURTHER: &str = " more notes are counted but not shown";

/// Takes away the note that counts others, and returns its count.
fn take_further(notes: &mut Vec<String>) -> u64 {
    let count = notes.last().and_then(|last| last.strip_suffix(FURTHER)).and_then(|count| count.parse().ok());
    if count.is_some() {
        notes.pop();
    }
    count.unwrap_or_default()
}

#[cfg(test)]
mod tests;
