//! How long to wait between attempts to connect.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The longest first wait; it doubles with each failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait at all.
const LONGEST: Duration = Duration::from_secs(30);
/// The shortest, so that no luck makes a busy loop.
const SHORTEST: Duration = Duration::from_millis(50);

/// Waits that grow, each a random part of its limit, so that many watchers of one engine do not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let limit = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        // Each `RandomState` has keys of its own: chance without a crate for it.
        let chance = RandomState::new().hash_one(self.failures) >> 32;
        limit.mul_f64(f64::from(u32::try_from(chance).unwrap_or(u32::MAX)) / f64::from(u32::MAX)).max(SHORTEST)
    }

    /// It worked for a while.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_limit_that_doubles_to_half_a_minute() {
        let mut backoff = Backoff::default();
        for limit in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0] {
            let wait = backoff.next();
            assert!(wait <= Duration::from_secs_f64(limit) && wait >= SHORTEST, "{wait:?} of {limit}");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<_> = (0..20).map(|_| Backoff { failures: 6 }.next()).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
