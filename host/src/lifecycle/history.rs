//! How a container fared under its name: restarts, loops, and how long trouble lasts.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back restarts count, and how long a container must run for earlier trouble to be over: ten minutes. Docker waits
/// at most one minute between restarts (moby `restartmanager`), so a loop at its slowest shows many in that time.
const MEMORY_NANOS: i64 = 600 * 1_000_000_000;

/// How long a container that restarted again and again must neither start nor end until the loop is over.
pub const QUIET: Duration = Duration::from_nanos(MEMORY_NANOS.unsigned_abs());

/// So many restarts within ten minutes are a loop.
const LOOP: usize = 3;

/// More restarts are not counted: the fact then stays at this number.
const MOST_RESTARTS: usize = 128;

/// What is remembered of a name.
#[derive(Debug, Default)]
pub(super) struct History {
    /// When it was started again after it fell, within the last ten minutes.
    restarts: VecDeque<i64>,
    looping: bool,
    /// Whether it is down and nobody asked for that.
    fell: bool,
    /// Since when it has been in trouble.
    trouble: Option<i64>,
}

impl History {
    /// It died by itself; in trouble or, with exit code 0, not. `up_nanos` is how long it had run.
    pub(super) fn fell(&mut self, at: i64, in_trouble: bool, up_nanos: Option<i64>) {
        self.pass(at);
        self.fell = true;
        if !in_trouble {
            self.trouble = None;
        } else if self.trouble.is_none() || up_nanos.is_some_and(|nanos| nanos >= MEMORY_NANOS) {
            self.trouble = Some(at);
        }
    }

    /// Somebody asked for its end while it ran.
    pub(super) fn was_ended(&mut self, at: i64) {
        self.pass(at);
        self.fell = false;
        self.trouble = None;
    }

    /// Somebody asked for its end, maybe after it died.
    pub(super) fn was_stopped(&mut self) {
        self.fell = false;
    }

    /// It started. How long the trouble lasted that this ends, if it does: in a loop nothing has ended.
    pub(super) fn started(&mut self, at: i64) -> Option<i64> {
        self.pass(at);
        if std::mem::take(&mut self.fell) {
            if self.restarts.len() == MOST_RESTARTS {
                self.restarts.pop_front();
            }
            self.restarts.push_back(at);
            self.looping |= self.restarts.len() >= LOOP;
        }
        let trouble = self.trouble.filter(|_| !self.looping)?;
        Some(at.saturating_sub(trouble))
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, now: i64) {
        while self.restarts.front().is_some_and(|at| now.saturating_sub(*at) >= MEMORY_NANOS) {
            self.restarts.pop_front();
        }
        self.looping &= !self.restarts.is_empty();
    }

    /// How often it was started again in the last ten minutes.
    pub(super) fn restarts(&self) -> usize {
        self.restarts.len()
    }

    /// Whether it restarts again and again: three times within ten minutes, and since then never ten minutes without.
    pub(super) fn looping(&self) -> bool {
        self.looping
    }
}
