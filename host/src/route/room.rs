//! The memory that the events of open digests take, counted for all routes together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of memory for the events of all open digests: about 60,000 ordinary events.
const LIMIT: usize = 64 << 20;
/// The most bytes that are kept of one event while there is plenty of room. An ordinary event has about 1 KiB, and a
/// formatter is given at most 100 events, so that a batch stays far below the 16 MiB that a call may hand over.
const MOST_OF_EVENT: usize = 32 << 10;
/// The fewest bytes that are offered to one event.
const LEAST_OF_EVENT: usize = 1 << 10;
/// One event may take this part of what is free. The fuller the room, the less is offered to each event, so that a few
/// containers with huge labels leave room for the events of all others.
const PART: usize = 2048;

/// The memory that the events of open digests take. Clones count together.
#[derive(Debug, Clone)]
pub struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    taken: AtomicUsize,
}

/// Memory that was taken, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    room: Room,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self::of(LIMIT)
    }
}

impl Room {
    /// A room of so many bytes.
    #[must_use]
    pub fn of(limit: usize) -> Self {
        Self(Arc::new(Shared { limit, taken: AtomicUsize::new(0) }))
    }

    /// Bytes that are taken at present.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many bytes of one event may be kept at present.
    pub(super) fn offer(&self) -> usize {
        (self.0.limit.saturating_sub(self.taken()) / PART).clamp(LEAST_OF_EVENT, MOST_OF_EVENT)
    }

    /// Nothing taken yet.
    pub(super) const fn take_nothing(self) -> Taken {
        Taken { room: self, bytes: 0 }
    }
}

impl Taken {
    pub(super) const fn room(&self) -> &Room {
        &self.room
    }

    /// Takes so many bytes more, unless that would leave less than `spare` bytes free; whether it did.
    pub(super) fn add(&mut self, bytes: usize, spare: usize) -> bool {
        let Shared { limit, taken } = &*self.room.0;
        let fits = |taken: usize| Some(taken + bytes).filter(|all| all.saturating_add(spare) <= *limit);
        let added = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        self.bytes += if added { bytes } else { 0 };
        added
    }

    /// Takes so many bytes more, whether there is room or not.
    pub(super) fn add_anyway(&mut self, bytes: usize) {
        self.room.0.taken.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Gives back so many bytes.
    pub(super) fn remove(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.room.0.taken.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.remove(self.bytes);
    }
}
