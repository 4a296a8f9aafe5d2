//! Wires everything: starts plugins, routes, sinks and engines as the configuration says, runs them, and stops them without
//! losing what is open.

pub mod feed;
pub mod replay;
pub mod routes;
pub mod sinks;
pub mod watch;
