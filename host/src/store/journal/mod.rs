//! The journal: every line that was read, in one order, and how far into its stream each engine was read.
//!
//! A batch of lines is one row, whatever number of lines it has. Each line has a sequence number; they grow by one over all
//! engines, from 1, and are never used twice.

mod append;
mod cursor;
mod gap;
mod pack;
mod read;
pub(super) mod trim;

use std::sync::Arc;

use jiff::Timestamp;

use super::ContainerState;
pub use append::{Appended, Appender};
pub(super) use append::{next, number};
pub use cursor::EngineCursor;
pub use gap::{Gap, OpenGap};
pub(super) use pack::checksum;
pub use read::Batch;

/// How many keys of events are kept per engine, at least. Docker repeats at most 256 events after a reconnect
/// (`eventsLimit` in moby `daemon/events/events.go`); Podman reads its own journal, and a minute of it should fit.
pub const KEYS: usize = 4096;

/// Lines, joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    bytes: Vec<u8>,
    count: u32,
}

impl Lines {
    /// Adds a line, without its end. A line feed within becomes a blank: in JSON it can stand only between values. An empty
    /// line counts, and is not found again when the journal is read.
    pub fn push(&mut self, line: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(line));
    }

    /// The same for a line that is written behind the others.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.count > 0 {
            self.bytes.push(b'\n');
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        let mut from = start;
        while let Some(place) = self.bytes.get(from..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            from += place;
            if let Some(byte) = self.bytes.get_mut(from) {
                *byte = b' ';
            }
        }
        self.count = self.count.saturating_add(1);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes they have together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl<'a> FromIterator<&'a [u8]> for Lines {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(lines: I) -> Self {
        let mut all = Self::default();
        lines.into_iter().for_each(|line| all.push(line));
        all
    }
}

/// A batch of lines to keep.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// When they came, by dockbell's clock.
    pub received: Timestamp,
    /// The lines. None at all is a move of the cursor alone; it uses up one sequence number.
    pub lines: Lines,
    /// Where the engine's stream is now, if these lines are of it.
    pub moved: Option<Moved>,
    /// What is known of the engine's containers with these lines, in the place of what was known before them.
    pub containers: Option<Vec<ContainerState>>,
    /// Whether the lines are what the comparison with all kept gaps of the engine has shown: those are forgotten.
    pub compared: bool,
    /// A gap that is to be compared with the engine's containers, reported by these lines or not: it is kept until then.
    pub gap: Option<Gap>,
}

/// A move of an engine's cursor: it is on the disk if, and only if, the lines are.
#[derive(Debug, Clone, Default)]
pub struct Moved {
    /// The engine's own id, when it is known. Stored when it is another than before.
    pub engine_id: Option<Arc<str>>,
    /// Time of the event that was read last, in nanoseconds since the Unix epoch.
    pub last_nanos: Option<i64>,
    /// Key of the event that must come again after a reconnect.
    pub anchor: Option<u128>,
    /// Keys of the events of this batch, the oldest first.
    pub keys: Vec<u128>,
    /// What may be missing before this position, while that is not decided.
    pub gap: Option<OpenGap>,
}
