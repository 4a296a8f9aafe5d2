//! When to try again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How often and how long a delivery is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Wait after the first failure; it doubles with each further one. Default 1 s.
    pub first: Duration,
    /// Longest wait. Default 5 min.
    pub most: Duration,
    /// How long a message is tried before it is given up. Default 5 days, as Postfix's `maximal_queue_lifetime`.
    pub give_up: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_mins(5), give_up: Duration::from_hours(5 * 24) }
    }
}

impl Retry {
    /// The wait after so many failures (from 1): the doubled time, a random half of it taken off, so that several
    /// programs do not come back to a server in step.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let full = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(self.most);
        full / 2 + (full / 2).mul_f64(random())
    }
}

/// A number from 0 to 1.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0u8);
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_five_minutes_with_at_most_half_taken_off() {
        let retry = Retry::default();
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (4_000_000_000, 300)] {
            let full = Duration::from_secs(seconds);
            for _ in 0..100 {
                let delay = retry.delay(failures);
                assert!(delay >= full / 2 && delay <= full, "{failures} failures: {delay:?}");
            }
        }
    }

    #[test]
    fn two_programs_do_not_wait_the_same() {
        let delays: std::collections::HashSet<_> = (0..100).map(|_| Retry::default().delay(10)).collect();
        assert!(delays.len() > 90);
    }
}
