//! Sends the requests of plugins, with the same client as the sinks.

use std::sync::OnceLock;

use crate::config::Reached;
use crate::deliver::http::{Client, Kind, Limits, Reach, Request};
use crate::plugin::http::{Incoming, NoAnswer, Outgoing, SendRequest, Sending};

/// The sender of all plugins.
#[derive(Debug, Default)]
pub struct Sender {
    /// Made for the first request: reading the system's certificates takes a moment, and most plugins send nothing.
    client: OnceLock<Client>,
}

impl Sender {
    /// A sender that uses this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client: client.into() }
    }

    fn client(&self) -> Option<Client> {
        if let Some(client) = self.client.get() {
            return Some(client.clone());
        }
        match Client::new(None, false) {
            Ok(client) => Some(self.client.get_or_init(|| client).clone()),
            Err(error) => {
                tracing::error!("no plugin can send requests: {error}");
                None
            }
        }
    }
}

impl SendRequest for Sender {
    fn send(&self, plugin: &str, request: Outgoing) -> Sending {
        let client = self.client();
        let plugin = plugin.to_owned();
        Box::pin(async move {
            let most = request.most_answer;
            let limits = Limits { body: Limits::default().whole, body_bytes: most, ..Limits::default() };
            let reach = match request.reached {
                Reached::Internet => Reach::Internet,
                Reached::Private => Reach::Machine,
            };
            let client = client.ok_or(NoAnswer::Tls)?.with_limits(limits).with_reach(reach);
            let Outgoing { url, method, headers, body, .. } = request;
            let answer = client.send(&url, Request { method, headers, body }).await.map_err(|error| {
                tracing::warn!(plugin, "a request of the plugin has no answer: {error}");
                match error.kind() {
                    Kind::Address => NoAnswer::Address,
                    Kind::Late => NoAnswer::Late,
                    Kind::Connect => NoAnswer::Connect,
                    Kind::Tls => NoAnswer::Tls,
                    Kind::Broken => NoAnswer::Broken,
                }
            })?;
            if answer.is_cut {
                tracing::warn!(
                    plugin,
                    "{url}: the answer to the plugin has more than {} KiB, or was cut off",
                    most >> 10
                );
                return Err(NoAnswer::TooLarge);
            }
            Ok(Incoming { status: answer.status, headers: answer.headers, body: answer.body })
        })
    }
}
