//! Plugins: WebAssembly components that filter events and format messages, each in a sandbox of its own.
//!
//! A plugin can do nothing but what its interface (`wit/v0.1`) says: no file, no network, no environment, and bounded
//! time and memory. [`Runtime::load`] compiles and checks a component once, or takes what an earlier start compiled; each
//! route then starts its own [`Filter`] or [`Formatter`] of it, kept warm from call to call.

mod bundled;
mod cache;
mod compile;
mod compiled;
mod component;
mod declared;
mod error;
mod instance;
mod log;
mod native;
mod runtime;
mod sandbox;
mod v0_1;

pub use bundled::{BUNDLED, Bundled};
pub use cache::cache_folder;
pub use compile::{COMPILE_COMPONENT, CompileLimits, Compiler, compile_component};
pub use compiled::Compiled;
pub use declared::Declared;
pub use error::{CallError, Refused};
pub use instance::{Filter, Formatter};
pub use runtime::{Plugin, Role, Runtime};
