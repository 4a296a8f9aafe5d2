//! What the operator must know about deliveries.

use std::fmt;
use std::sync::Arc;

use ulid::Ulid;

/// Something that was not delivered, or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A sink has taken nothing for a minute, or is closed for good. Its messages wait.
    SinkFailed {
        /// Name of the sink.
        sink: Arc<str>,
        /// Why.
        error: String,
    },
    /// Somebody will not get a message. It is kept as a dead letter.
    DeadLetter {
        /// Name of the sink.
        sink: Arc<str>,
        /// The message.
        id: Ulid,
        /// Its subject.
        subject: String,
        /// Why.
        error: String,
    },
}

/// Who is told about trouble.
#[derive(Clone)]
pub struct Alarm(Arc<dyn Fn(Trouble) + Send + Sync>);

impl Alarm {
    /// Calls this; it must not wait.
    #[must_use]
    pub fn new(tell: impl Fn(Trouble) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(super) fn tell(&self, trouble: Trouble) {
        (self.0)(trouble);
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alarm")
    }
}
