//! What can be seen of a sink from outside.

use std::sync::Arc;

/// What became of a sink's messages since the program started.
///
/// `delivered`, `refused` and `ambiguous` count recipients: a mail to three people that one server took counts three. A
/// file and a terminal are their own only recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// Recipients that got a message.
    pub delivered: u64,
    /// Attempts after which something was left to try again.
    pub retried: u64,
    /// Recipients that will not get a message, unless a person has the dead letter sent again.
    pub refused: u64,
    /// Attempts that failed although the recipient may have got the message; it is sent again with the same id.
    pub ambiguous: u64,
    /// Whether nothing waits in the outbox for it.
    pub idle: bool,
    /// Why the sink takes nothing at present; `None` while it works.
    pub down: Option<Arc<str>>,
    /// Whether the sink is closed until the configuration is read again or the program started again, as a terminal that was
    /// closed.
    pub gone: bool,
}
