//! The engines that are watched: connection, description, inspect, and the stream of events.
//!
//! [`Engine`] speaks to one engine. [`Engine::describe`] says who answers; [`read`] is the task that reads its events for
//! as long as dockbell runs, and [`inspect`](Engine::inspect) looks at one container.

mod address;
mod api;
mod audit;
mod backoff;
mod batch;
mod body;
mod containers;
pub mod cursor;
mod describe;
mod error;
mod inspect;
mod intake;
mod limited;
pub mod line;
mod outlet;
pub mod parse;
mod reader;
mod session;
mod span;
mod suspects;
mod tls;
mod transport;
mod version;

pub use address::Address;
pub use api::Engine;
pub use batch::Batch;
pub use containers::Container;
pub use describe::Description;
pub use error::{EngineError, Fault, TlsFault};
pub use inspect::Inspected;
pub use reader::{End, read};
pub use span::{Span, SpanError, time};
pub use version::{ApiVersion, NEWEST_KNOWN, NotAVersion, OLDEST_KNOWN};
