//! When to try again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Waits that double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

/// How often a delivery is tried again. How long, says each message: see `deadline` of
/// [`NewMessage`](crate::store::NewMessage).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// While a sink takes nothing, one message is tried, and the others wait. Default 1 s to 5 min: a mail server that was
    /// restarted is not left waiting.
    pub sink: Waits,
    /// When a message or a recipient is put off, as by greylisting. Default 10 s to 1 h.
    pub message: Waits,
    /// For how long a sink must take nothing before that is told. Default 1 min.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            sink: Waits { first: Duration::from_secs(1), most: Duration::from_mins(5) },
            message: Waits { first: Duration::from_secs(10), most: Duration::from_hours(1) },
            patience: Duration::from_mins(1),
        }
    }
}

impl Waits {
    /// The wait after so many failures (from 1): the doubled time, a random half of it taken off, so that several
    /// programs do not come back to a server in step.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
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
    fn the_wait_for_a_sink_doubles_up_to_five_minutes_with_at_most_half_taken_off() {
        let waits = Retry::default().sink;
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (4_000_000_000, 300)] {
            let full = Duration::from_secs(seconds);
            for _ in 0..100 {
                let wait = waits.after(failures);
                assert!(wait >= full / 2 && wait <= full, "{failures} failures: {wait:?}");
            }
        }
    }

    #[test]
    fn two_programs_do_not_wait_the_same() {
        let waits: std::collections::HashSet<_> = (0..100).map(|_| Retry::default().sink.after(10)).collect();
        assert!(waits.len() > 90);
    }
}
