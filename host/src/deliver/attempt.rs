//! One message in the form a sink delivers, and what an attempt to deliver it came to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ulid::Ulid;

/// A message in the form one sink delivers. Its bytes are final: every attempt sends the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The message's id.
    pub id: Ulid,
    /// The message's subject, for logs.
    pub subject: String,
    /// What is sent: a whole mail, a line of JSON, a text.
    pub bytes: Bytes,
    /// A smaller and simpler form of the same message with the same id, for when the server refuses the content of the
    /// first. `None` where there is nothing simpler, or where it is in use already.
    pub plainer: Option<Bytes>,
    /// Who has not got it yet: mail addresses; the file or the terminal itself where a sink has no recipients.
    pub pending: Vec<Arc<str>>,
}

/// Whose fault a failure is, and so what has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The sink itself: no message gets through, all wait while one probes.
    Sink,
    /// This message: the others go on.
    Message,
    /// This recipient of this message: the other recipients get it.
    Recipient,
}

/// Why a recipient did not get a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault it is.
    pub fault: Fault,
    /// Whether trying again is of no use.
    pub lasting: bool,
    /// Whether the recipient may have got it all the same: the connection ended after the last byte and before the answer.
    pub ambiguous: bool,
    /// How long the other side wants to be left alone, at most 6 h: the next attempt waits at least as long. `None` where it
    /// did not say.
    pub retry_after: Option<Duration>,
    /// What happened and where; one line, free of secrets.
    pub error: String,
    /// How to mend it, where that is known; one line.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure of the sink that may pass.
    #[must_use]
    pub fn down(error: impl Into<String>) -> Self {
        Self {
            fault: Fault::Sink,
            lasting: false,
            ambiguous: false,
            retry_after: None,
            error: error.into(),
            hint: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What an attempt came to. Each recipient that was pending is in one of the two lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempt {
    /// Who has it now.
    pub accepted: Vec<Arc<str>>,
    /// Who has not, and why.
    pub failed: Vec<(Arc<str>, Failure)>,
}

impl Attempt {
    /// All pending recipients got it.
    #[must_use]
    pub fn accepted(sealed: &Sealed) -> Self {
        Self { accepted: sealed.pending.clone(), failed: Vec::new() }
    }

    /// No pending recipient got it, all for the same reason.
    #[must_use]
    pub fn failed(sealed: &Sealed, failure: &Failure) -> Self {
        let failed = sealed.pending.iter().map(|recipient| (Arc::clone(recipient), failure.clone())).collect();
        Self { accepted: Vec::new(), failed }
    }
}
