//! One event of a container engine, and who it is about.

mod attributes;
mod fact;
pub mod vocabulary;
mod word;

use std::sync::Arc;

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use attributes::Attributes;
pub use fact::{Cause, Fact};
pub use vocabulary::SystemAction;

/// `kind` of dockbell's own events: lost engines, gaps, failed plugins.
pub const OWN_KIND: &str = "dockbell";

/// One event of a container engine, in Docker's words, whichever engine sent it.
///
/// The fields are those of the plugin interface (`wit/v0.1/types.wit`), which documents what they may hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Event {
    /// Configured name of the engine.
    pub engine: Arc<str>,
    /// The engine's `Type`; [`OWN_KIND`] for dockbell's own events.
    pub kind: CompactString,
    /// The engine's `Action` before the first `": "`.
    pub action: CompactString,
    /// What stands behind the action: a health state, an exec command; else empty.
    pub detail: CompactString,
    /// The engine's id of what the event is about; empty where it sent none.
    pub actor_id: String,
    /// `local` or `swarm`.
    pub scope: CompactString,
    /// Nanoseconds since the Unix epoch, by the engine's clock. Not monotonic (measured: 2 inversions in 4,000 events of
    /// 8 parallel clients, Docker 20.10).
    pub time_nanos: i64,
    /// As the engine sent them. Labels are among them and overwrite the engine's own values, except `name` and `image`
    /// (moby `daemon/events.go`), so nothing else here is to be trusted.
    pub attributes: Attributes,
    /// What dockbell found out itself; no label can forge it.
    pub facts: Vec<(Fact, CompactString)>,
}

/// A time as events have it: nanoseconds since the Unix epoch; the last one that fits for times after the year 2262.
#[must_use]
pub fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

impl Event {
    /// Returns an event about dockbell itself that names the engine it concerns. The action is a [`SystemAction`].
    #[must_use]
    pub fn own(engine: Arc<str>, action: &str, time_nanos: i64, attributes: Attributes) -> Self {
        debug_assert!(SystemAction::ALL.iter().any(|known| known.name() == action), "`{action}` is no `SystemAction`");
        Self {
            engine,
            kind: OWN_KIND.into(),
            action: action.into(),
            scope: "local".into(),
            time_nanos,
            attributes,
            ..Self::default()
        }
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)
    }

    /// The value of a fact.
    #[must_use]
    pub fn fact(&self, fact: Fact) -> Option<&str> {
        self.facts.iter().find(|(key, _)| *key == fact).map(|(_, value)| value.as_str())
    }

    /// Who the event is about, for people: the name, else the fact `identity`, else the id, of which a digest is cut to its
    /// first 12 digits, as `docker ps` shows it. The id of a volume is its name.
    #[must_use]
    pub fn who(&self) -> &str {
        self.attribute("name").or_else(|| self.fact(Fact::Identity)).unwrap_or_else(|| {
            let digits = self.actor_id.strip_prefix("sha256:").unwrap_or(&self.actor_id);
            let is_digest = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            if is_digest { &digits[..12] } else { &self.actor_id }
        })
    }

    /// About how many bytes of memory the event takes; what queues count.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts = [&self.kind, &self.action, &self.detail, &self.scope].into_iter();
        let texts = texts.chain(self.facts.iter().map(|(_, value)| value));
        // What is short has no memory of its own.
        let texts: usize = texts.filter(|text| text.is_heap_allocated()).map(|text| text.len()).sum();
        let facts = self.facts.capacity() * size_of::<(Fact, CompactString)>();
        size_of::<Self>() + self.attributes.weight() + facts + texts + self.actor_id.len()
    }
}
