//! Messages get the form in which the sinks deliver them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::Sink;
use crate::event::{Event, OWN_KIND};
use crate::message::{Batch, Message};
use crate::store::NewMessage;

/// Sinks as they write messages. They connect to nothing: delivering is the business of others, opened for themselves.
#[derive(Debug)]
pub struct Sinks(RwLock<BTreeMap<String, Sink>>);

impl Sinks {
    /// By name.
    #[must_use]
    pub fn new(sinks: impl IntoIterator<Item = (String, Sink)>) -> Self {
        Self(RwLock::new(sinks.into_iter().collect()))
    }

    /// From now on these write. Nobody may tell a sink any more that is not among them.
    pub fn replace(&self, sinks: impl IntoIterator<Item = (String, Sink)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sinks.into_iter().collect();
    }

    /// What a sink is told: messages ready for the outbox. `batch` is what they were made of, so that they can be told together
    /// with later ones; none for messages that stand for themselves.
    #[must_use]
    pub fn seal(&self, sink: &str, messages: &[Message], batch: Option<&Batch>) -> Vec<NewMessage> {
        // The configuration is checked: whatever a route tells exists.
        let sinks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = sinks.get(sink) else { return Vec::new() };
        let alarm = batch.is_some_and(|batch| {
            batch.total > 0 && batch.counts.iter().all(|(what, _)| ALARMS.contains(&what.as_str()))
        });
        // Several messages of one batch cannot be told from each other later, and so are not merged.
        let batch = batch.filter(|_| messages.len() == 1).and_then(|batch| serde_json::to_vec(batch).ok());
        let mut sealed = Vec::new();
        for message in messages {
            match place.seal(message) {
                Ok(form) => sealed.push(NewMessage {
                    id: message.id,
                    sink: sink.to_owned(),
                    route: message.route.to_string(),
                    group: message.group.clone(),
                    phase: message.phase,
                    subject: form.subject,
                    total: message.total,
                    sealed_at: message.sealed_at,
                    deadline: None,
                    wire: form.bytes,
                    plainer: form.plainer,
                    recipients: form.pending,
                    batch: batch.clone().map(Into::into),
                    alarm,
                }),
                Err(error) => {
                    tracing::error!(sink, message = %message.id, route = &*message.route, "a message is lost: {error}");
                }
            }
        }
        sealed
    }
}

/// What is counted of a batch that says that something was not delivered.
const ALARMS: [&str; 2] = ["dockbell sink_failed", "dockbell dead_letter"];

/// Whether a batch says nothing but that a sink does not deliver: that sink is not told so. Of a large batch not all events
/// are known, and so it is told.
#[must_use]
pub fn is_about(batch: &Batch, sink: &str) -> bool {
    let about = |event: &Event| {
        let alarm = event.kind == OWN_KIND && matches!(event.action.as_str(), "sink_failed" | "dead_letter");
        alarm && event.attribute("sink") == Some(sink)
    };
    let all = u32::try_from(batch.events.len()) == Ok(batch.total);
    all && !batch.events.is_empty() && batch.events.iter().all(|event| about(event))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::Phase;

    fn batch(total: u32, events: impl IntoIterator<Item = Event>) -> Batch {
        Batch {
            route: "all".into(),
            group: String::new(),
            phase: Phase::Digest,
            total,
            span_nanos: (0, 0),
            counts: vec![],
            events: events.into_iter().map(Arc::new).collect(),
            notes: vec![],
            between: String::new(),
        }
    }

    fn failed(sink: &str) -> Event {
        Event::own(OWN_KIND.into(), "sink_failed", 1, [("sink", sink)].into_iter().collect())
    }

    #[test]
    fn a_sink_is_not_told_that_it_fails_but_others_are() {
        let told = batch(2, [failed("ops"), failed("ops")]);
        assert!(is_about(&told, "ops") && !is_about(&told, "chat"));
        assert!(!is_about(&batch(2, [failed("ops"), failed("chat")]), "ops"));
        assert!(!is_about(&batch(2, [failed("ops"), Event::default()]), "ops"));
    }

    #[test]
    fn what_a_large_digest_does_not_hold_in_full_is_told_to_all() {
        assert!(!is_about(&batch(101, (0..100).map(|_| failed("ops"))), "ops"), "one of them may be a container's");
    }
}
