//! From `[sinks]` to an outbox, and from routes to sinks.

use std::sync::Arc;

use crate::config::{Config, Output};
use crate::deliver::{Outbox, Sink, SinkError};
use crate::route::Tell;

/// Opens every sink that a route names.
///
/// # Errors
/// The first sink that cannot be used.
pub fn open(config: &Config, output: Option<Output>) -> Result<Vec<(String, Sink)>, SinkError> {
    let named = |sink: &String| config.routes.values().any(|route| route.to.contains(sink));
    let wanted = config.sinks.iter().filter(|(name, _)| named(name));
    wanted.map(|(name, sink)| Ok((name.clone(), Sink::open(name, sink, &config.hostname, output)?))).collect()
}

/// Sends a route's messages to its sinks.
#[must_use]
pub fn tell(outbox: &Arc<Outbox>, to: Vec<String>) -> Tell {
    let outbox = Arc::clone(outbox);
    Box::new(move |message| {
        let message = Arc::new(message);
        for sink in &to {
            outbox.send(sink, Arc::clone(&message));
        }
    })
}
