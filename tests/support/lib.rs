//! What tests of dockbell from the outside need: scripted engines, scripted mail servers, the program as a process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

pub mod attacks;
pub mod deliver;
#[cfg(feature = "real")]
pub mod docker;
pub mod engine;
pub mod guests;
pub mod http_server;
pub mod load;
pub mod program;
pub mod proxy;
pub mod registry;
pub mod rig;
pub mod smtp;
#[cfg(feature = "real")]
pub mod smtp_server;
