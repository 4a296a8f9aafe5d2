//! The events of one engine on their way to the routes: facts are added, then every route has them in its queue.

use std::sync::Arc;

use crate::engine::Engine;
use crate::event::Event;
use crate::lifecycle::{Inspected, Lifecycle};
use crate::queue::{Receiver, Refused, Sender};
use crate::route::Events;

/// Batches up to this size have their dead containers inspected; in a burst the event's own words must do.
const QUIET: usize = 8;

/// The way from one engine to all routes.
#[derive(Debug)]
pub struct Feed {
    engine: Engine,
    lifecycle: Lifecycle,
    routes: Vec<Inlet>,
}

/// The way into one route.
#[derive(Debug, Clone)]
pub struct Inlet {
    /// The route's name.
    pub route: Arc<str>,
    /// Its queue.
    pub queue: Sender<Events>,
    /// What did not fit since the last gap was told.
    missed: u32,
}

impl Inlet {
    /// The way into a route's queue.
    #[must_use]
    pub const fn new(route: Arc<str>, queue: Sender<Events>) -> Self {
        Self { route, queue, missed: 0 }
    }

    /// Hands events over without waiting. What does not fit is counted and told as a gap as soon as there is room.
    fn give(&mut self, mut events: Events) {
        if self.missed > 0
            && let Some(last) = events.last()
        {
            events.insert(0, Arc::new(self.gap(last)));
        }
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        match self.queue.try_send(events) {
            Ok(()) => self.missed = 0,
            Err(Refused::Full(_)) => {
                if self.missed == 0 {
                    tracing::error!(
                        route = &*self.route,
                        "the route is too slow and its queue is full: events are missed"
                    );
                }
                // The gap itself was among them if there was one.
                self.missed = self.missed.saturating_add(count) - u32::from(self.missed > 0);
            }
            Err(Refused::Closed(_)) => {}
        }
    }

    fn gap(&self, next: &Event) -> Event {
        let attributes = vec![
            ("missed".to_owned(), self.missed.to_string()),
            ("reason".to_owned(), "the route fell behind".to_owned()),
            ("route".to_owned(), self.route.to_string()),
        ];
        Event::own(Arc::clone(&next.engine), "gap", next.time_nanos, attributes)
    }
}

impl Feed {
    /// The way from an engine to these routes.
    #[must_use]
    pub fn new(engine: Engine, routes: Vec<Inlet>) -> Self {
        Self { engine, lifecycle: Lifecycle::new(), routes }
    }

    /// Runs until the reader's queue ends.
    pub async fn run(mut self, mut events: Receiver<Vec<Event>>) {
        while let Some(mut events) = events.recv().await {
            let quiet = events.len() <= QUIET;
            for event in &mut events {
                if quiet && event.kind == "container" && event.action == "die" {
                    let inspected = self.inspect(&event.actor_id).await;
                    self.lifecycle.observe_inspected(event, inspected);
                } else {
                    self.lifecycle.observe(event);
                }
            }
            let events: Events = events.into_iter().map(Arc::new).collect();
            if let Some((last, others)) = self.routes.split_last_mut() {
                for inlet in others {
                    inlet.give(events.clone());
                }
                last.give(events);
            }
        }
    }

    /// Asks the engine itself about a container that died: an image's labels can overwrite what the event says. One that
    /// runs again already, or is gone, has nothing to say about it.
    async fn inspect(&self, container: &str) -> Inspected {
        match self.engine.inspect(container).await {
            Ok(Some(found)) if !found.running => Inspected { exit_code: found.exit_code, oom_killed: found.oom_killed },
            Ok(_) => Inspected::default(),
            Err(error) => {
                tracing::debug!("a container that died could not be inspected: {error}");
                Inspected::default()
            }
        }
    }
}
