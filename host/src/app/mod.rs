//! Wires everything: starts plugins, routes, sinks and engines as the configuration says, runs them, and stops them without
//! losing what is open.

mod backlog;
pub mod feed;
pub mod inspection;
pub mod letters;
pub mod line;
pub mod outgoing;
pub mod own;
mod patience;
mod reconcile;
pub mod recorder;
pub mod recording;
pub mod replay;
pub mod routes;
pub mod sinks;
mod state;
pub mod states;
pub mod teller;
pub mod trial;
mod upkeep;
pub mod watch;
