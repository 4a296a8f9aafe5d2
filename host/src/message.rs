//! What a route makes of events and hands to the sinks: batches, and the messages that tell them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Event;

/// Why a batch is told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The first events after quiet, told at once.
    First,
    /// What a window brought.
    Digest,
    /// The restart loops that were told have ended well: the containers stay up.
    Closing,
}

impl Phase {
    /// The name that plugins and messages see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Digest => "digest",
            Self::Closing => "closing",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The events of one group in one window; what a formatter is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Name of the route.
    pub route: Arc<str>,
    /// What the events have in common; empty when the route has one group.
    pub group: String,
    /// Why it is told now.
    pub phase: Phase,
    /// How many events there were, exact.
    pub total: u32,
    /// Earliest and latest event time in nanoseconds since the Unix epoch; both 0 when there is no event.
    pub span_nanos: (i64, i64),
    /// How many of each `"kind action"`, exact, the most frequent first.
    pub counts: Vec<(String, u32)>,
    /// All events, or of a large batch the first 50 and the last 50, in the order they arrived. Where memory is short, they
    /// are fewer, and long values of their labels are cut; `notes` say so.
    pub events: Vec<Arc<Event>>,
    /// Gaps, late events, failed plugins: what the reader must know beside the events.
    pub notes: Vec<String>,
    /// The events of a large batch between the first and the last ones, as lines of JSON; as many as fit into 256 KiB. No
    /// plugin sees them: they go as `application/x-ndjson` with the message.
    pub between: String,
}

/// One form of a message's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// `text/plain`, `text/html`, `application/json`, ...
    pub media_type: String,
    /// The content.
    pub content: String,
}

/// What a formatter makes of a batch, checked and bounded by the host: one line of subject without control characters, and
/// a `text/plain` alternative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// One line, at most 900 bytes.
    pub subject: String,
    /// The content in different forms; `text/plain` is among them.
    pub alternatives: Vec<Alternative>,
    /// Names and values for sinks, such as `severity`.
    pub fields: Vec<(String, String)>,
}

/// A message to deliver: a notification with its own id and time. Made once; every attempt and every sink tells the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Sorts by time; the Message-ID of a mail is made of it.
    pub id: ulid::Ulid,
    /// Name of the route it came through.
    pub route: Arc<str>,
    /// Group of the batch; empty when the route has one group.
    pub group: String,
    /// Why it is told now.
    pub phase: Phase,
    /// When it was made; the Date of a mail.
    pub sealed_at: jiff::Timestamp,
    /// How many events it tells.
    pub total: u32,
    /// What it says.
    pub notification: Notification,
}

impl Notification {
    /// The content of a media type, if the formatter made it.
    #[must_use]
    pub fn alternative(&self, media_type: &str) -> Option<&str> {
        self.alternatives.iter().find(|form| form.media_type == media_type).map(|form| form.content.as_str())
    }

    /// The plain text; empty only where a formatter made none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.alternative("text/plain").unwrap_or_default()
    }

    /// The value of a field, such as `severity`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
