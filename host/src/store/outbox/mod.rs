//! The outbox: messages with their final bytes, one per sink, until they are accepted, refused for good, or too old.
//!
//! ```text
//!            begin              end: all accepted
//! pending ──────────▶ sending ──────────────────▶ sent
//!    ▲ ▲                 │  end: refused, too old
//!    │ └── end: later ───┼──────────────────────▶ dead ──▶ pending (retry) or gone (drop, 30 days)
//!    │                   └─ end: hold ───────────▶ held ──▶ pending (retry)
//!    └─ sink is back ── orphaned ◀── its sink is no longer configured
//! ```
//!
//! What is not sent may have to give way when the outbox has more than its share of the store ([`Store::make_room`]): it is
//! a dead letter without content then, which can be listed but not sent again.

mod attempts;
mod begin;
mod dead;
mod due;
mod end;
mod list;
mod messages;
mod recover;
mod share;
mod sinks;

use std::fmt;

pub use attempts::AttemptRow;
pub use begin::Outgoing;
pub use due::Due;
pub use end::{End, Ended, Outcome, Then};
pub use list::{Filter, Letter, RecipientRow, Summary};
pub use messages::{LIFETIME, NewMessage, Untried};
pub use recover::{Ambiguous, Interrupted};
pub use share::GaveWay;

pub(super) use dead::{expire, postpone, purge};
pub(super) use messages::{insert, insert_lost, remove_untried};
pub(super) use recover::recover;

use crate::message::Phase;
#[cfg(doc)]
use crate::store::Store;

/// Where a message is on its way; of a recipient, only `Pending`, `Sent` and `Dead` occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageState {
    /// It waits for its turn.
    Pending,
    /// It is being sent.
    Sending,
    /// All recipients have it.
    Sent,
    /// It waits for a person.
    Held,
    /// At least one recipient will not get it: a dead letter.
    Dead,
    /// It waits for its sink to be configured again.
    Orphaned,
}

impl MessageState {
    /// All states.
    pub const ALL: [Self; 6] = [Self::Pending, Self::Sending, Self::Sent, Self::Held, Self::Dead, Self::Orphaned];

    /// The name that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Held => "held",
            Self::Dead => "dead",
            Self::Orphaned => "orphaned",
        }
    }

    /// As it stands in the database; the indexes and the statements of this folder rely on these numbers.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Sending => 1,
            Self::Sent => 2,
            Self::Held => 3,
            Self::Dead => 4,
            Self::Orphaned => 5,
        }
    }

    /// And back.
    pub(super) fn of(number: i64) -> Self {
        Self::ALL.into_iter().find(|state| state.number() == number).unwrap_or(Self::Held)
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const fn phase_number(phase: Phase) -> i64 {
    match phase {
        Phase::First => 0,
        Phase::Digest => 1,
        Phase::Closing => 2,
    }
}

const fn phase_of(number: i64) -> Phase {
    match number {
        0 => Phase::First,
        2 => Phase::Closing,
        _ => Phase::Digest,
    }
}
