//! What a reader hands on: events, and the lines that they were.

use crate::event::Event;
use crate::queue::Weigh;
use crate::store::{Gap, Moved};

/// Events that were ready together, in the order of the stream.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events; those of dockbell itself, such as `engine_lost`, among them.
    pub events: Vec<Event>,
    /// Where the engine's stream is behind these events; none when only dockbell's own are among them.
    pub moved: Option<Moved>,
    /// A time of which it is not known what happened in it: of the gap that one of dockbell's own events among them reports, or
    /// one of which nothing shows whether it is a gap.
    pub gap: Option<Gap>,
    /// The lines one behind the other, and where each ends.
    raw: Vec<u8>,
    ends: Vec<usize>,
    weight: usize,
}

impl Batch {
    /// An empty one with room for as much as another holds.
    pub(super) fn as_large_as(other: &Self) -> Self {
        Self {
            events: Vec::with_capacity(other.events.len()),
            raw: Vec::with_capacity(other.raw.len()),
            ends: Vec::with_capacity(other.ends.len()),
            ..Self::default()
        }
    }

    /// Adds an event and the line that it was; dockbell's own have none.
    pub(super) fn push(&mut self, event: Event, line: &[u8]) {
        self.weight += event.weight() + line.len();
        self.events.push(event);
        self.raw.extend_from_slice(line);
        self.ends.push(self.raw.len());
    }

    /// The line that an event was, by its place in `events`; none for dockbell's own.
    #[must_use]
    pub fn line(&self, place: usize) -> Option<&[u8]> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or_default());
        self.raw.get(start..*self.ends.get(place)?).filter(|line| !line.is_empty())
    }
}

impl Weigh for Batch {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.weight
    }
}
