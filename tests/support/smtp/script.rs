//! What a scripted mail server does wrong, and where.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A point in the dialogue: the server is about to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A client connected; nothing was said, no TLS spoken.
    Connect,
    /// The greeting.
    Greeting,
    /// EHLO or HELO.
    Ehlo,
    /// STARTTLS, before the handshake.
    StartTls,
    /// A complete login.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The message, before its first line is read.
    Body,
    /// The final dot was read.
    Dot,
    /// NOOP, RSET.
    Other,
    /// QUIT.
    Quit,
}

/// What the server does instead of, or before, its usual answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers this; the line end is added, and no state changes.
    Reply(String),
    /// Sends these bytes, whatever they are.
    Bytes(Vec<u8>),
    /// Goes on as usual, but answers with these bytes.
    Says(Vec<u8>),
    /// Says nothing and reads nothing until the client goes away.
    Stall,
    /// Waits, then goes on as usual.
    Pause(Duration),
    /// Closes the connection without an answer.
    Drop,
    /// Answers as usual, one byte each time this long.
    Slow(Duration),
    /// Sends lines of an answer that does not end, until the client goes away.
    Endless,
    /// Sends a line that does not end, until the client goes away.
    EndlessLine,
}

impl Fault {
    /// [`Fault::Reply`] with a text.
    #[must_use]
    pub fn reply(text: &str) -> Self {
        Self::Reply(text.to_owned())
    }
}

#[derive(Debug, Default)]
pub(super) struct Script(Mutex<Faults>);

#[derive(Debug, Default)]
struct Faults {
    once: HashMap<Stage, VecDeque<Fault>>,
    always: HashMap<Stage, Fault>,
    recipients: HashMap<String, String>,
}

impl Script {
    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn once(&self, stage: Stage, fault: Fault) {
        self.lock().once.entry(stage).or_default().push_back(fault);
    }

    pub(super) fn always(&self, stage: Stage, fault: Fault) {
        self.lock().always.insert(stage, fault);
    }

    pub(super) fn recipient(&self, recipient: &str, reply: &str) {
        self.lock().recipients.insert(recipient.to_owned(), reply.to_owned());
    }

    pub(super) fn heal(&self) {
        *self.lock() = Faults::default();
    }

    pub(super) fn take(&self, stage: Stage) -> Option<Fault> {
        let mut faults = self.lock();
        let once = faults.once.get_mut(&stage).and_then(VecDeque::pop_front);
        once.or_else(|| faults.always.get(&stage).cloned())
    }

    pub(super) fn for_recipient(&self, recipient: &str) -> Option<String> {
        self.lock().recipients.get(recipient).cloned()
    }
}
