//! From `[sinks]` to those who write messages and those who deliver them.

use crate::config::{Config, Output, SinkConfig};
use crate::deliver::{Courier, Sink, SinkError};

/// Opens every sink that a route names.
///
/// # Errors
/// The first sink that cannot be used.
pub fn open(config: &Config, output: Option<Output>) -> Result<Vec<(String, Sink)>, SinkError> {
    named(config).map(|(name, sink)| Ok((name.clone(), Sink::open(name, sink, &config.hostname, output)?))).collect()
}

/// Opens the same sinks for those who deliver to them.
///
/// # Errors
/// Fails if one of them cannot be used.
pub fn couriers(config: &Config, output: Option<Output>) -> Result<Vec<(String, Courier)>, SinkError> {
    named(config).map(|(name, sink)| Ok((name.clone(), Courier::open(name, sink, &config.hostname, output)?))).collect()
}

/// The sinks that a route names.
fn named(config: &Config) -> impl Iterator<Item = (&String, &SinkConfig)> {
    let named = |sink: &String| config.routes.values().any(|route| route.to.contains(sink));
    config.sinks.iter().filter(move |(name, _)| named(name))
}
