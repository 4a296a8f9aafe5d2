//! Real Docker engines: found or started, and spoken to through the `docker` command.

mod client;
mod daemon;
mod engine;
mod tiny;

pub use client::Docker;
pub use daemon::Dockerd;
pub use engine::Engine;
pub use tiny::Tiny;
