//! From events to messages: filters, then a group, then a formatter.
//!
//! Each route runs in a task of its own ([`Route::run`]) with its own instances of its plugins, so that a slow one holds no
//! other back. Where events come from and where messages go is the caller's business.

pub mod collected;
pub mod filters;
pub mod formatter;
pub mod group;
pub mod plain;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ulid::Ulid;

use crate::event::Event;
use crate::message::{Batch, Message};
use crate::queue::Receiver;
use filters::Guarded;
use formatter::RouteFormatter;
use group::Digest;

/// Events as they travel: read once, shared by all routes.
pub type Events = Vec<Arc<Event>>;

/// Longest sleep of a route, so that a clock that jumps is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Where a route's messages go.
pub type Tell = Box<dyn Fn(Message) + Send + Sync>;

/// One route: which events it tells, and when and how.
pub struct Route {
    name: Arc<str>,
    /// None means all.
    engines: Option<HashSet<String>>,
    filters: Vec<Guarded>,
    digest: Digest,
    formatter: RouteFormatter,
}

impl Route {
    /// A route of started plugins; `engines` empty means all engines.
    #[must_use]
    pub fn new(
        name: &str,
        engines: &[String],
        filters: Vec<Guarded>,
        digest: Digest,
        formatter: RouteFormatter,
    ) -> Self {
        let engines = (!engines.is_empty()).then(|| engines.iter().cloned().collect());
        Self { name: name.into(), engines, filters, digest, formatter }
    }

    /// The name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes events in: those that all filters accept join their group, at the time `now`.
    pub async fn take(&mut self, events: &[Arc<Event>], now: Timestamp) {
        for event in events {
            if self.accepts(event).await {
                self.digest.add(event, now);
            }
        }
    }

    async fn accepts(&mut self, event: &Event) -> bool {
        if self.engines.as_ref().is_some_and(|engines| !engines.contains(&*event.engine)) {
            return false;
        }
        for filter in &mut self.filters {
            if !filter.accept(event).await {
                return false;
            }
        }
        true
    }

    /// When the next message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.digest.next_due()
    }

    /// Tells everything whose time has come.
    pub async fn tell_due(&mut self, now: Timestamp, tell: &Tell) {
        while let Some(batch) = self.digest.take_due(now) {
            self.tell(batch, now, tell).await;
        }
    }

    /// Tells everything that is open: the end of a run.
    pub async fn tell_rest(&mut self, now: Timestamp, tell: &Tell) {
        while let Some(batch) = self.digest.take_any() {
            self.tell(batch, now, tell).await;
        }
    }

    async fn tell(&mut self, mut batch: Batch, now: Timestamp, tell: &Tell) {
        batch.notes.extend(self.filters.iter_mut().filter_map(Guarded::take_note));
        let (group, phase, total) = (batch.group.clone(), batch.phase, batch.total);
        for notification in self.formatter.format(batch).await {
            tell(Message {
                id: Ulid::generate(),
                route: Arc::clone(&self.name),
                group: group.clone(),
                phase,
                sealed_at: now,
                total,
                notification,
            });
        }
    }

    /// Runs until the queue ends, then tells what is open.
    pub async fn run(mut self, mut events: Receiver<Events>, tell: Tell) {
        loop {
            let now = Timestamp::now();
            self.tell_due(now, &tell).await;
            let due = self.next_due().map_or(LONGEST_SLEEP, |due| until(now, due));
            tokio::select! {
                biased;
                taken = events.recv() => match taken {
                    Some(taken) => self.take(&taken, Timestamp::now()).await,
                    None => break,
                },
                () = tokio::time::sleep(due) => {}
            }
        }
        self.tell_rest(Timestamp::now(), &tell).await;
    }
}

fn until(now: Timestamp, due: Timestamp) -> Duration {
    let left = due.duration_since(now).unsigned_abs();
    if due > now { left.min(LONGEST_SLEEP) } else { Duration::ZERO }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").field("name", &self.name).finish_non_exhaustive()
    }
}
