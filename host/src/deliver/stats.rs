//! What can be seen of a sink from outside.

use std::sync::Arc;

/// What became of a sink's messages so far.
///
/// `delivered`, `refused` and `ambiguous` count recipients: a mail to three people that one server took counts three. A
/// file and a terminal are their own only recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// Recipients that got a message.
    pub delivered: u64,
    /// Attempts after which something was left to try again.
    pub retried: u64,
    /// Recipients that will never get a message: refused for good, given up, or no room to wait.
    pub refused: u64,
    /// Attempts that failed although the recipient may have got the message; it is sent again with the same id.
    pub ambiguous: u64,
    /// Messages that wait or are being tried.
    pub waiting: usize,
    /// About how many bytes of memory they take.
    pub waiting_bytes: usize,
    /// Why the sink takes nothing at present; `None` while it works.
    pub down: Option<Arc<str>>,
    /// Whether the sink is closed for good, as a terminal that was closed.
    pub gone: bool,
}
