//! The filters of a route, one behind the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::health::Health;
use crate::config::OnError;
use crate::event::Event;
use crate::plugin::{CallError, Filter, Plugin, Refused, State};

/// Failures in a row after which a filter is left alone for a while.
const FAILURES: u32 = 5;
/// How long it is left alone. Without this, a filter that always times out would hold the route to one event a second.
const REST: Duration = Duration::from_secs(30);

/// One filter, what happens when it fails, and whether it is left alone at the moment.
#[derive(Debug)]
pub struct Guarded {
    filter: Filter,
    on_error: OnError,
    failures: u32,
    rests_until: Option<Instant>,
    /// Events decided without the filter since the last note.
    unexamined: u32,
    last_error: Option<CallError>,
    health: Health,
}

impl Guarded {
    /// Starts the filter.
    ///
    /// # Errors
    /// When the plugin cannot be used as a filter.
    pub async fn start(plugin: Arc<Plugin>, on_error: OnError) -> Result<Self, Refused> {
        Self::start_with(plugin, on_error, None).await
    }

    /// The same with a state that outlives it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(plugin: Arc<Plugin>, on_error: OnError, state: Option<State>) -> Result<Self, Refused> {
        let filter = Filter::start_with(plugin, state).await?;
        Ok(Self {
            filter,
            on_error,
            failures: 0,
            rests_until: None,
            unexamined: 0,
            last_error: None,
            health: Health::default(),
        })
    }

    /// Whether the event passes; a failure counts as `on-error` says.
    pub async fn accept(&mut self, event: &Event) -> bool {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            self.unexamined = self.unexamined.saturating_add(1);
            return self.on_error == OnError::Pass;
        }
        match self.filter.accept(event).await {
            Ok(accepted) => {
                if self.rests_until.take().is_some() {
                    tracing::info!(plugin = self.filter.name(), "the filter works again");
                }
                self.failures = 0;
                self.health.works(self.filter.name());
                accepted
            }
            Err(error) => {
                self.failed(error);
                self.on_error == OnError::Pass
            }
        }
    }

    fn failed(&mut self, error: CallError) {
        self.failures = self.failures.saturating_add(1);
        self.unexamined = self.unexamined.saturating_add(1);
        let plugin = self.filter.name();
        if self.failures >= FAILURES {
            self.rests_until = Some(Instant::now() + REST);
            self.health.fails(self.filter.name(), &error.brief());
            let seconds = REST.as_secs();
            tracing::warn!(plugin, failures = self.failures, "the filter is left alone for {seconds} s: {error}");
        } else {
            tracing::warn!(plugin, "the filter failed on an event: {error}");
        }
        self.last_error = Some(error);
    }

    /// Whether it works.
    pub(super) fn health(&mut self) -> &mut Health {
        &mut self.health
    }

    /// What a message must say about events that were decided without the filter since the last note.
    pub fn take_note(&mut self) -> Option<String> {
        let error = self.last_error.as_ref().filter(|_| self.unexamined > 0)?;
        let verdict = match self.on_error {
            OnError::Pass => "passed unexamined",
            OnError::Drop => "dropped unexamined",
        };
        let events = match std::mem::take(&mut self.unexamined) {
            1 => "1 event was".to_owned(),
            count => format!("{count} events were"),
        };
        Some(format!("filter `{}` failed, {events} {verdict}: {}", self.filter.name(), error.brief()))
    }
}
