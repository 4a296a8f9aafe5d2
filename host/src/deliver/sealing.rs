//! Messages get the form in which the sinks deliver them.

use std::collections::BTreeMap;

use super::Sink;
use crate::event::{Event, OWN_KIND};
use crate::message::{Batch, Message};
use crate::store::NewMessage;

/// Sinks as they write messages. They connect to nothing: delivering is the business of others, opened for themselves.
#[derive(Debug)]
pub struct Sinks(BTreeMap<String, Sink>);

impl Sinks {
    /// By name.
    #[must_use]
    pub fn new(sinks: impl IntoIterator<Item = (String, Sink)>) -> Self {
        Self(sinks.into_iter().collect())
    }

    /// What a sink is told: messages ready for the outbox. `batch` is what they were made of, so that they can be told together
    /// with later ones; none for messages that stand for themselves.
    #[must_use]
    pub fn seal(&self, sink: &str, messages: &[Message], batch: Option<&Batch>) -> Vec<NewMessage> {
        // The configuration is checked: whatever a route tells exists.
        let Some(place) = self.0.get(sink) else { return Vec::new() };
        let alarm =
            batch.is_some_and(|batch| batch.total > 0 && batch.events.iter().all(|event| is_about_delivery(event)));
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

/// Whether a batch says nothing but that a sink does not deliver: that sink is not told so.
#[must_use]
pub fn is_about(batch: &Batch, sink: &str) -> bool {
    let about = |event: &Event| is_about_delivery(event) && event.attribute("sink") == Some(sink);
    !batch.events.is_empty() && batch.events.iter().all(|event| about(event))
}

fn is_about_delivery(event: &Event) -> bool {
    event.kind == OWN_KIND && matches!(event.action.as_str(), "sink_failed" | "dead_letter")
}
