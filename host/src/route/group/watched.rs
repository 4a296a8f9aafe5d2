//! Since when all events were seen: without that, no events do not mean that nothing happens.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::event::{Event, OWN_KIND};

/// Since when the engines of a route were watched without a break, as far as the route has read what they said.
#[derive(Debug)]
pub(super) struct Watched {
    /// Whether older events are still to be read.
    behind: bool,
    /// When the events of an earlier run, and what it missed, had been read.
    since: Timestamp,
    /// When engines that were lost came back; none while they are lost.
    engines: HashMap<Arc<str>, Option<Timestamp>>,
}

impl Default for Watched {
    fn default() -> Self {
        Self { behind: false, since: Timestamp::MIN, engines: HashMap::new() }
    }
}

impl Watched {
    /// An earlier run is continued: nobody has watched until it is known what it left.
    pub(super) fn restore(&mut self) {
        (self.behind, self.since) = (true, Timestamp::MAX);
    }

    pub(super) fn fall_behind(&mut self) {
        self.behind = true;
    }

    pub(super) fn catch_up(&mut self, now: Timestamp) {
        self.behind = false;
        self.since = self.since.min(now);
    }

    /// The clock was set back: what was later than now is now.
    pub(super) fn clamp(&mut self, now: Timestamp) {
        if !self.behind {
            self.since = self.since.min(now);
        }
        self.engines.values_mut().flatten().for_each(|since| *since = now.min(*since));
    }

    /// Takes in what dockbell itself says about an engine.
    pub(super) fn note(&mut self, event: &Event, now: Timestamp) {
        if event.kind != OWN_KIND {
            return;
        }
        match event.action.as_str() {
            "engine_lost" => _ = self.engines.insert(Arc::clone(&event.engine), None),
            "engine_back" | "gap" => _ = self.engines.insert(Arc::clone(&event.engine), Some(now)),
            _ => {}
        }
    }

    /// Since when an engine is watched; none if it is not, now.
    pub(super) fn since(&self, engine: &str) -> Option<Timestamp> {
        if self.behind {
            return None;
        }
        match self.engines.get(engine) {
            None => Some(self.since),
            Some(since) => since.map(|since| since.max(self.since)),
        }
    }
}
