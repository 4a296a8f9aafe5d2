//! Real Docker engines for tests and recordings: found or started, and spoken to through the `docker` command.
//!
//! A crate of its own and with few dependencies, so that the tests which need it build nothing else anew.

mod client;
mod daemon;
mod engine;
mod tiny;

pub use client::Docker;
pub use daemon::Dockerd;
pub use engine::Engine;
pub use tiny::Tiny;
