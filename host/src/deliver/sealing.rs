//! Messages get the form in which the sinks deliver them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::Sink;
use super::offload::{Offload, Unfinished};
use crate::event::{Event, OWN_KIND};
use crate::message::{Alternative, Batch, Message, Notification};
use crate::store::NewMessage;
use crate::text;

/// Most time for one sink's form of a message. What a plugin may make takes a twentieth of a second.
const LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of the text that stands in for a message that could not be rendered.
const BRIEF: usize = 16 << 10;

/// Sinks as they write messages. They connect to nothing: delivering is the business of others, opened for themselves.
#[derive(Debug)]
pub struct Sinks {
    sinks: RwLock<BTreeMap<String, Arc<Sink>>>,
    rendering: Offload,
}

impl Sinks {
    /// By name.
    #[must_use]
    pub fn new(sinks: impl IntoIterator<Item = (String, Sink)>) -> Self {
        let new = Self { sinks: RwLock::default(), rendering: Offload::new(LIMIT) };
        new.replace(sinks);
        new
    }

    /// From now on these write. Nobody may tell a sink any more that is not among them.
    pub fn replace(&self, sinks: impl IntoIterator<Item = (String, Sink)>) {
        let sinks = sinks.into_iter().map(|(name, sink)| (name, Arc::new(sink))).collect();
        *self.sinks.write().unwrap_or_else(PoisonError::into_inner) = sinks;
    }

    /// Returns messages ready for the outbox of a sink. `batch` is what they were made of, so that they can be told together
    /// with later ones; `None` for messages that stand for themselves.
    ///
    /// Plugins decide how much work that is, so it is done on another thread than the caller's. A message for which that takes
    /// more than 10 s is delivered with the beginning of its text alone.
    pub async fn seal(&self, sink: &str, messages: &Arc<[Message]>, batch: Option<&Batch>) -> Vec<NewMessage> {
        // The configuration is checked: whatever a route tells exists.
        let found = self.sinks.read().unwrap_or_else(PoisonError::into_inner).get(sink).map(Arc::clone);
        let Some(place) = found else { return Vec::new() };
        let alarm = batch.is_some_and(|batch| {
            batch.total > 0 && batch.counts.iter().all(|(what, _)| ALARMS.contains(&what.as_str()))
        });
        // Several messages of one batch cannot be told from each other later, and so are not merged.
        let batch = batch.filter(|_| messages.len() == 1).cloned().map(Arc::new);
        let mut sealed = Vec::new();
        // One by one, so that the messages of other routes find their turn between them.
        for index in 0..messages.len() {
            let work = {
                let (place, sink, messages) = (Arc::clone(&place), sink.to_owned(), Arc::clone(messages));
                let batch = batch.clone();
                move || write(&place, &sink, messages.get(index)?, batch.as_deref(), alarm)
            };
            sealed.extend(match self.rendering.run(work).await {
                Ok(written) => written,
                Err(unfinished) => {
                    tracing::error!(
                        sink,
                        "A message is cut to the beginning of its text: rendering it failed: {unfinished}."
                    );
                    messages
                        .get(index)
                        .and_then(|message| write(&place, sink, &brief(message, unfinished), None, alarm))
                }
            });
        }
        sealed
    }
}

fn write(place: &Sink, sink: &str, message: &Message, batch: Option<&Batch>, alarm: bool) -> Option<NewMessage> {
    match place.seal(message) {
        Ok(form) => Some(NewMessage {
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
            batch: batch.and_then(|batch| serde_json::to_vec(batch).ok()).map(Into::into),
            alarm,
        }),
        Err(error) => {
            tracing::error!(sink, message = %message.id, route = &*message.route, "a message is lost: {error}");
            None
        }
    }
}

/// Returns what stands in for a message that could not be rendered: the beginning of its text, and why there is no more.
fn brief(message: &Message, why: Unfinished) -> Message {
    let told = &message.notification;
    let text = text::prefix(told.text(), BRIEF);
    let note =
        format!("[{} of {} bytes of this message are shown, its text alone: {why}]", text.len(), told.text().len());
    let severity =
        told.field("severity").map(|severity| ("severity".to_owned(), text::prefix(severity, 100).to_owned()));
    Message {
        id: message.id,
        route: Arc::clone(&message.route),
        group: message.group.clone(),
        phase: message.phase,
        sealed_at: message.sealed_at,
        total: message.total,
        notification: Notification {
            subject: told.subject.clone(),
            alternatives: vec![Alternative {
                media_type: "text/plain".to_owned(),
                content: format!("{text}\n\n{note}\n"),
            }],
            fields: severity.into_iter().collect(),
        },
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

    #[test]
    fn what_cannot_be_rendered_is_told_by_the_beginning_of_its_text() {
        let form = |media_type: &str, content: String| Alternative { media_type: media_type.to_owned(), content };
        let message = Message {
            id: ulid::Ulid::nil(),
            route: "all".into(),
            group: String::new(),
            phase: Phase::First,
            sealed_at: jiff::Timestamp::UNIX_EPOCH,
            total: 1,
            notification: Notification {
                subject: "trouble".to_owned(),
                alternatives: vec![form("text/html", "x".to_owned()), form("text/plain", "ä".repeat(10_000))],
                fields: vec![("severity".to_owned(), "error".to_owned()), ("x".to_owned(), "y".to_owned())],
            },
        };
        let told = brief(&message, Unfinished::Late(LIMIT)).notification;
        assert_eq!(
            (told.subject.as_str(), told.alternatives.len(), told.field("severity")),
            ("trouble", 1, Some("error"))
        );
        let note = "\n\n[16384 of 20000 bytes of this message are shown, its text alone: it took longer than 10 s]\n";
        assert_eq!(told.text(), "ä".repeat(8192) + note);
    }
}
