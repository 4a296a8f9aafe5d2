//! How a type becomes the plugin that dockbell calls.

use std::cell::RefCell;

use crate::bindings::logging;
use crate::{Batch, Event, Notification};

pub use logging::Level;

/// Decides which events a route tells. Export it with [`export_filter!`](crate::export_filter).
pub trait Filter: Sized {
    /// Makes the filter from the plugin's `config` table, as JSON; `{}` when the user wrote none.
    ///
    /// # Errors
    /// What the user should read: which key is wrong, and what would be right. It stops dockbell's start.
    fn configure(config: &str) -> Result<Self, String>;

    /// Whether the event may pass. May keep state in `self`, but must cope with losing it: after a failed call dockbell
    /// configures a fresh instance.
    ///
    /// # Errors
    /// Why the event could not be judged; what becomes of it is the user's choice (`on-error`, by default it passes).
    fn accept(&mut self, event: &Event) -> Result<bool, String>;
}

/// Turns the events of a batch into messages. Export it with [`export_formatter!`](crate::export_formatter).
pub trait Formatter: Sized {
    /// Makes the formatter from the plugin's `config` table, as JSON; `{}` when the user wrote none.
    ///
    /// # Errors
    /// What the user should read: which key is wrong, and what would be right. It stops dockbell's start.
    fn configure(config: &str) -> Result<Self, String>;

    /// The messages that tell the batch, usually one. Each needs a `text/plain` alternative.
    ///
    /// # Errors
    /// Why there is no message; dockbell then tells the batch in its own words, with this reason.
    fn format(&mut self, batch: &Batch) -> Result<Vec<Notification>, String>;
}

/// Writes a line to dockbell's log under the plugin's name; natively (in tests) to the standard error output.
///
/// dockbell keeps 64 lines of 4 KiB per call and says how many more there were.
pub fn log(level: Level, message: &str) {
    if cfg!(target_family = "wasm") {
        logging::log(level, message);
    } else {
        eprintln!("{level:?} {message}");
    }
}

/// Exports a type that implements [`Filter`] as the crate's plugin. Once per crate.
#[macro_export]
macro_rules! export_filter {
    ($plugin:ty) => {
        const _: () = {
            $crate::export_setup!($plugin, $crate::Filter);
            impl $crate::hidden::filter::exports::dockbell::plugin::filter::Guest for Component {
                fn accept(event: $crate::Event) -> ::std::result::Result<bool, ::std::string::String> {
                    PLUGIN.with(|slot| slot.call(|plugin| $crate::Filter::accept(plugin, &event)))
                }
            }
            impl $crate::hidden::packed_filter::exports::dockbell::plugin::packed_filter::Guest for Component {
                fn accept(event: $crate::hidden::PackedEvent) -> ::std::result::Result<bool, ::std::string::String> {
                    let event = $crate::hidden::unpack(&event);
                    PLUGIN.with(|slot| slot.call(|plugin| $crate::Filter::accept(plugin, &event)))
                }
            }
    $crate::hidden::filter::export_filter_part!(Component with_types_in $crate::hidden::filter);
    $crate::hidden::packed_filter::export_packed_filter_part!(Component with_types_in $crate::hidden::packed_filter);
        };
    };
}

/// Exports a type that implements [`Formatter`] as the crate's plugin. Once per crate.
#[macro_export]
macro_rules! export_formatter {
    ($plugin:ty) => {
        const _: () = {
            $crate::export_setup!($plugin, $crate::Formatter);
            impl $crate::hidden::formatter::exports::dockbell::plugin::formatter::Guest for Component {
                fn format(
                    batch: $crate::Batch,
                ) -> ::std::result::Result<::std::vec::Vec<$crate::Notification>, ::std::string::String> {
                    PLUGIN.with(|slot| slot.call(|plugin| $crate::Formatter::format(plugin, &batch)))
                }
            }
    $crate::hidden::formatter::export_formatter_part!(Component with_types_in $crate::hidden::formatter);
        };
    };
}

/// What both exports share: the component, the plugin it holds, and `configure`.
#[doc(hidden)]
#[macro_export]
macro_rules! export_setup {
    ($plugin:ty, $role:path) => {
        struct Component;
        ::std::thread_local! {
            static PLUGIN: $crate::hidden::Slot<$plugin> = const { $crate::hidden::Slot::empty() };
        }
        impl $crate::hidden::setup::exports::dockbell::plugin::setup::Guest for Component {
            fn configure(config: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                $crate::hidden::catch_panics();
                let plugin = <$plugin as $role>::configure(&config)?;
                PLUGIN.with(|slot| slot.fill(plugin));
                ::std::result::Result::Ok(())
            }
        }
        $crate::hidden::setup::export_setup!(Component with_types_in $crate::hidden::setup);
    };
}

/// Where the exported plugin lives between calls.
#[doc(hidden)]
#[derive(Debug)]
pub struct Slot<T>(RefCell<Option<T>>);

impl<T> Slot<T> {
    /// No plugin yet: it is not configured.
    #[must_use]
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    /// Puts the configured plugin in.
    pub fn fill(&self, plugin: T) {
        self.0.replace(Some(plugin));
    }

    /// Calls the plugin.
    ///
    /// # Errors
    /// The plugin's own, and the call of a plugin that was never configured.
    pub fn call<R>(&self, call: impl FnOnce(&mut T) -> Result<R, String>) -> Result<R, String> {
        self.0.borrow_mut().as_mut().map_or_else(|| Err("called before `configure`".to_owned()), call)
    }
}

/// Sends the message of a panic to dockbell's log; without it dockbell would only see `unreachable`.
#[doc(hidden)]
pub fn catch_panics() {
    if cfg!(target_family = "wasm") {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_before_configure_is_an_error_and_not_a_panic() {
        let slot = Slot::<u8>::empty();
        assert!(slot.call(|_| Ok(())).unwrap_err().contains("configure"));
        slot.fill(3);
        assert_eq!(slot.call(|value| Ok(*value)), Ok(3));
    }
}
