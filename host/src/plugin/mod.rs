//! Plugins: WebAssembly components that filter events and format messages, each in a sandbox of its own.
//!
//! A plugin can do nothing but what its interface (`wit/v0.1`) says and its table of the configuration grants: no file, no
//! network, no environment by itself, and bounded time and memory. [`Runtime::load`] compiles and checks a component once, or takes what an earlier start compiled; each
//! route then starts its own [`Filter`] or [`Formatter`] of it, kept warm from call to call.

mod ask;
mod bundled;
mod cache;
mod compile;
mod compiled;
mod component;
mod declared;
mod error;
mod files;
mod granted;
pub mod http;
mod instance;
mod log;
mod memory;
mod native;
mod processors;
mod runtime;
mod sandbox;
mod state;
mod v0_1;

pub use ask::Ask;
pub use bundled::{BUNDLED, Bundled};
pub use cache::cache_folder;
pub(crate) use cache::{Use, remove_unused, renew};
pub use compile::{COMPILE_COMPONENT, CompileLimits, Compiler, compile_component};
pub use compiled::Compiled;
pub use component::LARGEST_COMPONENT;
pub use declared::Declared;
pub use error::{CallError, Refused};
pub use instance::{Filter, Formatter};
pub use runtime::{Plugin, Role, Runtime};
pub use state::{Change, State};
