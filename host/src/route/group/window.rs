//! The time between two messages of a group.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::loops::Loops;
use super::{Pace, after};

/// A window that runs; what it brings is in the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) length: Duration,
    /// Whether it brought anything but known loops, or is the first one.
    fresh: bool,
    /// Whether the message that began this window told that something is broken.
    #[serde(default)]
    pub(super) trouble: bool,
}

/// What is stored of a group while its window runs, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored<'a> {
    #[serde(flatten)]
    pub(super) window: Cow<'a, Window>,
    #[serde(default)]
    pub(super) restarting: Cow<'a, Loops>,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, fresh: true, trouble: false }
    }

    /// When it began, if it is due then. One that was moved to be due sooner seems to have begun so much earlier.
    pub(super) fn opened(&self, due: Timestamp) -> Timestamp {
        due.checked_sub(self.length).unwrap_or(Timestamp::MIN)
    }

    /// Notes that it has brought something else than a known loop; returns when that is to be told at the latest. The first
    /// trouble in a window that began with a harmless message does not wait for the window's end.
    pub(super) fn saw(&mut self, is_first_trouble: bool, pace: Pace, now: Timestamp) -> Option<Timestamp> {
        self.fresh = true;
        match pace {
            Pace::Windows { settle, window, .. } if is_first_trouble && !self.trouble => {
                Some(after(now, settle.min(window)))
            }
            Pace::Windows { window, .. } => Some(after(now, window)),
            Pace::AtEnd => None,
        }
    }

    /// The window after one that brought something: longer while only known loops go on.
    pub(super) fn next(mut self, shortest: Duration, longest: Duration, looping: bool) -> Self {
        if !looping {
            return Self::new(shortest);
        }
        self.length = if self.fresh { shortest } else { (self.length * 2).min(longest) };
        self.fresh = false;
        self
    }
}
