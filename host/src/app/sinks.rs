//! From `[sinks]` to those who write messages and those who deliver them.

use crate::config::{Config, Output};
use crate::deliver::{Sink, SinkError};

/// Opens every sink that a route names.
///
/// # Errors
/// The first sink that cannot be used.
pub fn open(config: &Config, output: Option<Output>) -> Result<Vec<(String, Sink)>, SinkError> {
    let named = |sink: &String| config.routes.values().any(|route| route.to.contains(sink));
    let wanted = config.sinks.iter().filter(|(name, _)| named(name));
    wanted.map(|(name, sink)| Ok((name.clone(), Sink::open(name, sink, &config.hostname, output)?))).collect()
}
