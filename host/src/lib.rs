//! dockbell watches container engines and tells people what happened to their containers.
//!
//! The way of one event: [`engine`] reads it, [`lifecycle`] adds facts, [`route`] passes it through filters ([`plugin`]),
//! collects it in a group ([`store`]) and makes a message of it, [`deliver`] brings the message to its sinks. [`app`] wires
//! these; [`serve`] is what it answers while it runs; [`cli`] is what the user types. A module imports only from those below it:
//! `cli`, `app`, (`engine`, `route`, `deliver`, `serve`), (`store`, `plugin`, `lifecycle`), (`config`, `queue`, `message`,
//! `event`, `files`, `private`, `text`, `tls`).

pub mod app;
pub mod cli;
pub mod config;
pub mod deliver;
pub mod engine;
pub mod event;
mod files;
pub mod lifecycle;
pub mod message;
pub mod plugin;
mod private;
pub mod queue;
pub mod route;
pub mod serve;
pub mod store;
pub mod text;
pub mod tls;
