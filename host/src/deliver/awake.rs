//! Deadlines on a machine that is asleep now and then.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A wall clock that is ahead by so much more than it was belongs to a machine that was asleep, or was set.
const JUMP: Duration = Duration::from_mins(1);

/// Finds out whether the machine was asleep: the wall clock goes on then, and the other one does not.
pub(super) struct Awake {
    wall: Timestamp,
    steady: Instant,
    woke: Option<Instant>,
}

impl Awake {
    pub(super) fn new() -> Self {
        Self { wall: Timestamp::now(), steady: Instant::now(), woke: None }
    }

    /// Whether a deadline has passed. Within a minute after the machine was asleep that is not believed: messages get the time
    /// back in which nobody tried them.
    pub(super) fn is_past(&mut self, deadline: Timestamp) -> bool {
        let now = Timestamp::now();
        if now < deadline {
            return false;
        }
        let went_by = Duration::try_from(now.duration_since(self.wall)).unwrap_or_default();
        if went_by > self.steady.elapsed() + JUMP {
            self.woke = Some(Instant::now());
        }
        (self.wall, self.steady) = (now, Instant::now());
        self.woke.is_none_or(|woke| woke.elapsed() > JUMP)
    }
}
