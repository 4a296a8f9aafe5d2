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
        self.is_past_at(deadline, Timestamp::now(), Instant::now())
    }

    fn is_past_at(&mut self, deadline: Timestamp, wall: Timestamp, steady: Instant) -> bool {
        if wall < deadline {
            return false;
        }
        let went_by = Duration::try_from(wall.duration_since(self.wall)).unwrap_or_default();
        if went_by > steady.duration_since(self.steady) + JUMP {
            self.woke = Some(steady);
        }
        (self.wall, self.steady) = (wall, steady);
        self.woke.is_none_or(|woke| steady.duration_since(woke) > JUMP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_passed_while_the_machine_was_asleep_is_not_believed_at_once() {
        let mut awake = Awake::new();
        let (wall, steady) = (awake.wall, awake.steady);
        let (hours, seconds) = (Duration::from_hours, Duration::from_secs);
        let deadline = wall + hours(100);
        assert!(!awake.is_past_at(deadline, wall + hours(1), steady + hours(1)));
        // Asleep for six days.
        let woke = wall + hours(145);
        assert!(!awake.is_past_at(deadline, woke, steady + hours(1)));
        assert!(!awake.is_past_at(deadline, woke + seconds(30), steady + hours(1) + seconds(30)));
        // By now it would have been moved.
        assert!(awake.is_past_at(deadline, woke + seconds(61), steady + hours(1) + seconds(61)));
    }

    #[test]
    fn a_deadline_is_past_when_its_time_has_gone_by() {
        let mut awake = Awake::new();
        let (wall, steady) = (awake.wall, awake.steady);
        let later = Duration::from_hours(120);
        assert!(!awake.is_past_at(wall + later, wall, steady));
        assert!(awake.is_past_at(wall + later, wall + later, steady + later));
    }
}
