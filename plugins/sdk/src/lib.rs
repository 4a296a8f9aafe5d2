//! Write filters and formatters for dockbell in Rust.
//!
//! A plugin is a `cdylib` crate that implements [`Filter`] or [`Formatter`] and exports it. dockbell gives it events and
//! its own part of the configuration, and nothing else but what its user grants: see [`state`].
//!
//! ```
//! use dockbell_plugin::{Event, Filter, export_filter};
//!
//! /// Lets only containers pass that ended with an exit code of their own.
//! struct Failed;
//!
//! impl Filter for Failed {
//!     fn configure(_config: &str) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn accept(&mut self, event: &Event) -> Result<bool, String> {
//!         Ok(event.action == "die" && event.fact("exit-code").is_some_and(|code| code != "0"))
//!     }
//! }
//!
//! export_filter!(Failed);
//! # let event = Event { action: "die".into(), facts: vec![("exit-code".into(), "3".into())], ..Event::default() };
//! # assert_eq!(Failed.accept(&event), Ok(true));
//! ```
//!
//! Build it with `cargo build --release --target wasm32-unknown-unknown`: dockbell takes the `.wasm` file as it is, for the
//! module carries its interface. `cargo test` runs natively: the types are plain structs, and only a call of [`log`] would
//! need dockbell (natively it writes to the standard error output).
//!
//! The crate brings a `#[global_allocator]` that makes calls cheap; a plugin with one of its own turns on the feature
//! `own-allocator`.
//!
//! A plugin that panics costs that one call. The panic's message goes to dockbell's log, under the plugin's name.

#[cfg(any(test, all(target_family = "wasm", not(target_feature = "atomics"), not(feature = "own-allocator"))))]
mod arena;
mod bindings;
mod event;
mod export;
mod packed;
pub mod state;
pub mod text;
pub mod time;

pub use bindings::types::{Alternative, Batch, Event, Notification};
pub use event::short_id;
pub use export::{Filter, Formatter, Level, log};

/// What the exporting macros refer to; not for use by hand.
#[doc(hidden)]
pub mod hidden {
    pub use crate::bindings::packed_filter::exports::dockbell::plugin::packed_filter::PackedEvent;
    pub use crate::bindings::{filter, formatter, packed_filter, setup};
    pub use crate::export::{Slot, catch_panics};
    pub use crate::packed::unpack;
}
