//! dockbell's own events: they are stored and told like any other.

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::recorder::Recorder;
use crate::event::{Event, OWN_KIND, nanos};
use crate::store::{Append, StoreError};

/// Where own events go in. Clones put into the same place. There are few of them: each is told once per change, not once per
/// failure.
#[derive(Debug, Clone)]
pub struct Own(UnboundedSender<Event>);

impl Own {
    /// A way in, and its end for [`run`].
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<Event>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells an event.
    pub fn tell(&self, event: Event) {
        // At the end of a run nobody is told any more.
        let _ = self.0.send(event);
    }

    /// Tells an event about dockbell itself.
    pub fn say(&self, action: &str, attributes: &[(&str, &str)]) {
        let attributes = attributes.iter().copied().collect();
        self.tell(Event::own(OWN_KIND.into(), action, nanos(Timestamp::now()), attributes));
    }

    /// Tells that somebody will not get a message.
    pub fn dead_letter(&self, sink: &str, message: Ulid, subject: &str, error: &str) {
        let message = message.to_string();
        self.say("dead_letter", &[("error", error), ("message", &message), ("sink", sink), ("subject", subject)]);
    }
}

/// Stores own events until the end; what was told before it is stored.
///
/// # Errors
/// The store is broken or closed.
pub async fn run(
    mut events: UnboundedReceiver<Event>,
    mut recorder: Recorder,
    end: CancellationToken,
) -> Result<(), StoreError> {
    let mut more = true;
    while more || !recorder.is_empty() {
        tokio::select! {
            biased;
            landed = recorder.landed() => recorder.settle(landed).await?,
            () = end.cancelled(), if !events.is_closed() => events.close(),
            event = events.recv(), if more && recorder.has_room() => match event {
                Some(event) => recorder.put(vec![event], |_| None, Append::default()).await?,
                None => more = false,
            },
        }
    }
    Ok(())
}
