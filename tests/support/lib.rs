//! What the tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[cfg(feature = "real")]
pub mod docker;
pub mod program;
#[cfg(feature = "real")]
pub mod smtp_server;
