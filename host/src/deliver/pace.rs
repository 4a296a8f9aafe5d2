//! How fast messages follow each other to a sink.

use tokio::time::Instant;

use crate::config::Rate;

/// Keeps the rate of a sink: as many messages at once as the rate has, then one per interval. It is the generic cell rate
/// algorithm, which keeps one time alone: when the next message would come if all came evenly.
#[derive(Debug, Default)]
pub(super) struct Pace {
    even: Option<Instant>,
}

impl Pace {
    /// Returns the time from which on a message may be sent, which may have passed.
    pub(super) fn next(&self, rate: Rate, now: Instant) -> Instant {
        let ahead = rate.per.saturating_sub(rate.interval());
        self.even.and_then(|even| even.checked_sub(ahead)).unwrap_or(now)
    }

    /// Notes that a message is sent.
    pub(super) fn sent(&mut self, rate: Rate, now: Instant) {
        self.even = Some(self.even.map_or(now, |even| even.max(now)) + rate.interval());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { messages: 30, per: Duration::from_mins(1) };

    /// How many may be sent within so many seconds from `from` on.
    fn sent(pace: &mut Pace, from: Instant, seconds: u64) -> u32 {
        let (end, mut now, mut count) = (from + Duration::from_secs(seconds), from, 0);
        loop {
            now = now.max(pace.next(RATE, now));
            if now >= end {
                return count;
            }
            pace.sent(RATE, now);
            count += 1;
        }
    }

    #[test]
    fn so_many_go_at_once_and_then_one_per_interval() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        assert_eq!(sent(&mut pace, begin, 1), 30);
        assert_eq!(sent(&mut pace, begin + Duration::from_secs(1), 59), 29);
        assert_eq!(sent(&mut pace, begin + Duration::from_mins(1), 600), 300);
    }

    #[test]
    fn after_quiet_as_many_go_at_once_again_and_no_more() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        sent(&mut pace, begin, 120);
        assert_eq!(sent(&mut pace, begin + Duration::from_hours(10), 1), 30);
    }
}
