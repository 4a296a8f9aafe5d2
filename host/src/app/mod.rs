//! Wires everything: starts plugins, routes, sinks and engines as the configuration says, runs them, and stops them without
//! losing what is open.

mod backlog;
pub mod components;
pub mod feed;
mod files;
pub mod inspection;
pub mod letters;
pub mod line;
mod live;
pub mod outgoing;
pub mod own;
mod part;
mod patience;
mod prepared;
mod reconcile;
pub mod recorder;
pub mod recording;
pub mod reload;
pub mod replay;
pub mod routes;
pub mod sinks;
mod state;
pub mod states;
pub mod teller;
pub mod trial;
pub mod twins;
mod upkeep;
pub mod watch;
