//! Brings messages to their sinks.
//!
//! A [`Sink`] seals a message once: from then on its bytes are final ([`Sealed`]), and they stand in the store. The
//! [`Outbox`] has one worker per sink, so that a slow sink holds back no other. A worker tries the oldest message first, and
//! what an [`Attempt`] came to says whose [`Fault`] a failure is and whether it lasts; from that follows what is tried
//! again, when, and what becomes a dead letter.

mod attempt;
mod awake;
mod courier;
mod dial;
pub mod email;
mod file;
pub mod http;
mod json;
mod lane;
mod notify;
mod offload;
mod outbox;
mod pace;
mod retry;
mod sealing;
mod sink;
mod stats;
mod stdout;
mod trouble;
mod webhook;
mod worker;

pub use attempt::{Attempt, Failure, Fault, Sealed};
pub use courier::Courier;
pub use file::File;
pub use notify::Notify;
pub use outbox::{Outbox, Undelivered};
pub use retry::{Retry, Waits};
pub use sealing::{Sinks, is_about};
pub use sink::{Sink, SinkError};
pub use stats::SinkStats;
pub use stdout::Stdout;
pub use trouble::{Alarm, Trouble};
pub use webhook::Webhook;
