//! A plugin by itself against recorded events: what it says about each, or the messages that it makes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::recording::{HINT, Recording};
use crate::event::Event;
use crate::message::{Notification, Phase};
use crate::plugin::{CallError, Filter, Formatter, Plugin, Role};
use crate::route::collected::Collected;

/// What a plugin said.
#[derive(Debug)]
pub enum Said<'a> {
    /// A filter, about one event.
    Verdict {
        /// The number of the event in the recording, from 1 on.
        number: u64,
        /// The event, with dockbell's facts.
        event: &'a Event,
        /// Whether it may pass.
        verdict: Result<bool, CallError>,
    },
    /// A formatter, about all events together: its messages.
    Messages(Result<Vec<Notification>, CallError>),
}

/// What a trial came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Lines that were events.
    pub events: u64,
    /// Lines that were not.
    pub unreadable: u64,
    /// Events that the filter let pass; all, where there is none.
    pub passed: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Messages that the formatter made.
    pub messages: usize,
    /// How long the start took, of all roles together.
    pub started: Duration,
    /// How long each call took, sorted.
    pub calls: Vec<Duration>,
}

/// Passes each event through the filter; then the formatter makes messages of one batch (phase `digest`, route `test`) of all
/// that passed. An event on which the filter fails does not pass. Of a component that is both, both are tried.
///
/// # Errors
/// The plugin cannot be started, the recording cannot be read to its end, or it holds no event.
pub async fn run(
    plugin: &Arc<Plugin>,
    mut recording: Recording,
    mut each: impl FnMut(Said<'_>),
) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    let began = Instant::now();
    let (mut filter, mut formatter) = (None, None);
    for role in plugin.roles() {
        match role {
            Role::Filter => filter = Some(Filter::start(Arc::clone(plugin)).await?),
            Role::Formatter => formatter = Some(Formatter::start(Arc::clone(plugin)).await?),
        }
    }
    summary.started = began.elapsed();
    let mut batch = Collected::default();
    while let Some(next) = recording.next().await? {
        let event = match next {
            Ok(event) => Arc::new(event),
            Err(error) => {
                summary.unreadable += 1;
                tracing::warn!("{error}");
                continue;
            }
        };
        summary.events += 1;
        if let Some(filter) = &mut filter {
            let verdict = summary.time(filter.accept(&event)).await;
            let passes = verdict == Ok(true);
            each(Said::Verdict { number: summary.events, event: &event, verdict });
            if !passes {
                continue;
            }
        }
        summary.passed += 1;
        batch.add(&event);
    }
    anyhow::ensure!(summary.events > 0, "the recording holds no event\n{HINT}");
    if let Some(formatter) = &mut formatter
        && batch.total() > 0
    {
        let batch = batch.seal(&"test".into(), "", Phase::Digest, Vec::new());
        let messages = summary.time(formatter.format(&batch)).await;
        summary.messages = messages.as_ref().map_or(0, Vec::len);
        each(Said::Messages(messages));
    }
    summary.calls.sort_unstable();
    Ok(summary)
}

impl Summary {
    /// Notes how long a call takes and whether it fails.
    async fn time<T>(&mut self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        let began = Instant::now();
        let answer = call.await;
        self.calls.push(began.elapsed());
        self.failed += u64::from(answer.is_err());
        answer
    }
}
