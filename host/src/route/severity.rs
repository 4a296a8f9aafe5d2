//! How much an event matters, for what the host itself decides.

use crate::event::{Event, Fact};

/// Whether an event says that something is broken.
pub(super) fn is_trouble(event: &Event) -> bool {
    let broken = ["oom", "engine_lost", "gap", "plugin_failed", "reload_failed", "sink_failed", "dead_letter"];
    matches!(event.fact(Fact::Cause), Some("crashed" | "oom"))
        || broken.contains(&event.action.as_str())
        || event.detail == "unhealthy"
}
