//! The formatter of a route, and what stands in for it.

use std::sync::Arc;

use super::health::Health;
use super::plain::Plain;
use crate::message::{Batch, Notification};
use crate::plugin::{Formatter, Plugin, Refused, State};

/// The formatter of a route.
#[derive(Debug)]
pub struct RouteFormatter {
    plugin: Option<Formatter>,
    plain: Plain,
    health: Health,
}

impl RouteFormatter {
    /// dockbell's own plain text.
    #[must_use]
    pub fn plain(plain: Plain) -> Self {
        Self { plugin: None, plain, health: Health::default() }
    }

    /// Starts a plugin; the plain text stands in when it fails.
    ///
    /// # Errors
    /// When the plugin cannot be used as a formatter.
    pub async fn start(plugin: Arc<Plugin>, plain: Plain) -> Result<Self, Refused> {
        Self::start_with(plugin, plain, None).await
    }

    /// The same with a state that outlives it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(plugin: Arc<Plugin>, plain: Plain, state: Option<State>) -> Result<Self, Refused> {
        Ok(Self { plugin: Some(Formatter::start_with(plugin, state).await?), plain, health: Health::default() })
    }

    /// Whether the plugin works.
    pub(super) fn health(&mut self) -> &mut Health {
        &mut self.health
    }

    /// The messages for a batch. A plugin that fails costs its own rendering, never the message. `left_out` says where the
    /// events are that are not among those of the batch.
    pub async fn format(&mut self, mut batch: Batch, left_out: Option<String>) -> Vec<Notification> {
        let Some(plugin) = &mut self.plugin else { return vec![plainly(&self.plain, &batch, left_out)] };
        batch.notes.extend(left_out);
        match plugin.format(&batch).await {
            Ok(notifications) => {
                self.health.works(plugin.name());
                notifications
            }
            Err(error) => {
                self.health.fails(plugin.name(), &error.brief());
                let route = &*batch.route;
                tracing::warn!(plugin = plugin.name(), route, "the formatter failed, plain text stands in: {error}");
                batch.notes.push(format!(
                    "formatter `{}` failed, this is plain text: {}",
                    plugin.name(),
                    error.brief()
                ));
                vec![self.plain.format(&batch)]
            }
        }
    }
}

/// What is left out is no trouble, and so does not make a message a warning, as a note does.
fn plainly(plain: &Plain, batch: &Batch, left_out: Option<String>) -> Notification {
    let mut made = plain.format(batch);
    if let (Some(form), Some(left_out)) = (made.alternatives.first_mut(), left_out) {
        form.content.push_str("\nnote: ");
        form.content.push_str(&left_out);
    }
    made
}
