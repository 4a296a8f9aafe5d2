//! A sink and how fast it may be sent to.

use super::{Sink, SinkError};
use crate::config::{Output, Rate, SinkConfig};

/// A sink as a worker delivers to it.
#[derive(Debug)]
pub struct Courier {
    /// The sink.
    pub sink: Sink,
    /// How many messages it may be sent; `None` for as many as there are.
    pub rate: Option<Rate>,
}

impl Courier {
    /// Opens a sink, as [`Sink::open`] does.
    ///
    /// # Errors
    /// Fails if the sink cannot be used.
    pub fn open(name: &str, config: &SinkConfig, hostname: &str, output: Option<Output>) -> Result<Self, SinkError> {
        Ok(Self { sink: Sink::open(name, config, hostname, output)?, rate: config.rate() })
    }
}

impl From<Sink> for Courier {
    /// Without a limit.
    fn from(sink: Sink) -> Self {
        Self { sink, rate: None }
    }
}
