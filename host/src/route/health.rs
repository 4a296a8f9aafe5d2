//! Whether a plugin works, and when that has changed.

use std::sync::Arc;

use jiff::Timestamp;

use crate::event::{Attributes, Event, OWN_KIND, nanos};

/// Whether a plugin of a route works. Told once when it begins to fail, and once when it works again.
#[derive(Debug, Default)]
pub(super) struct Health {
    failed: bool,
    change: Option<Change>,
}

/// A plugin began to fail, or works again.
#[derive(Debug)]
pub(super) struct Change {
    plugin: String,
    /// Why it failed; none when it works again.
    error: Option<String>,
}

impl Health {
    pub(super) fn fails(&mut self, plugin: &str, error: &str) {
        if !std::mem::replace(&mut self.failed, true) {
            self.change = Some(Change { plugin: plugin.to_owned(), error: Some(error.to_owned()) });
        }
    }

    pub(super) fn works(&mut self, plugin: &str) {
        if std::mem::take(&mut self.failed) {
            self.change = Some(Change { plugin: plugin.to_owned(), error: None });
        }
    }

    /// The last change that was not told yet.
    pub(super) fn take_change(&mut self) -> Option<Change> {
        self.change.take()
    }
}

impl Change {
    /// As an own event.
    pub(super) fn into_event(self, route: &str) -> Event {
        let action = if self.error.is_some() { "plugin_failed" } else { "plugin_recovered" };
        let mut attributes: Attributes = [("plugin", &*self.plugin), ("route", route)].into_iter().collect();
        attributes.extend(self.error.map(|error| ("error", error)));
        Event::own(Arc::from(OWN_KIND), action, nanos(Timestamp::now()), attributes)
    }
}
