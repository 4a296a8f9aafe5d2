//! Messages as HTTP requests, signed as Standard Webhooks have it.

mod sign;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tracing::warn;

use super::http::{Client, Proxies, Request, Tries};
use super::{Attempt, Failure, Sealed, json};
use crate::config::{self, Environment, HttpUrl, Mistake, Secret, SigningKey, Told, WebhookConfig};
use crate::message::Message;
use crate::tls::TlsError;

/// Headers that hold shorter values are not looked for in answers: `1` is no secret.
const SHORT: usize = 6;

/// A receiver of HTTP requests.
#[derive(Debug)]
pub struct Webhook {
    name: String,
    config: WebhookConfig,
    client: Client,
    tries: Tries,
}

/// What a request needs beside the message, as it is at the time of the attempt.
struct Ready {
    url: HttpUrl,
    headers: Vec<(String, SecretString)>,
    keys: Vec<SigningKey>,
}

impl Webhook {
    /// Reads the certificates of `ca`; connects to nothing.
    ///
    /// # Errors
    /// A file of certificates that cannot be used.
    pub fn open(name: &str, config: &WebhookConfig) -> Result<Self, TlsError> {
        let proxies = Proxies::of(&Environment::of_process());
        let client = Client::new(config.ca.as_deref(), config.allow_loopback)?.with_proxies(proxies);
        Ok(Self { name: name.to_owned(), config: config.clone(), client, tries: Tries::default() })
    }

    /// The same with another client, such as one with other limits.
    #[must_use]
    pub fn with_client(mut self, change: impl FnOnce(Client) -> Client) -> Self {
        self.client = change(self.client);
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The body that tells a message. The recipient is the sink itself: the URL is a secret.
    pub(super) fn seal(&self, message: &Message) -> Sealed {
        Sealed {
            id: message.id,
            subject: message.notification.subject.clone(),
            bytes: Bytes::from(self.body(message)),
            plainer: None,
            pending: vec![Arc::from(self.name.as_str())],
        }
    }

    fn body(&self, message: &Message) -> String {
        let Some(template) = &self.config.template else { return json::line(message) };
        template.render(&told(message)).unwrap_or_else(|error| {
            let hint = "it is told in dockbell's own form instead; mend `template`";
            warn!(sink = self.name, message = %message.id, error, hint, "A message does not fit the template.");
            json::line(message)
        })
    }

    pub(super) async fn deliver(&mut self, sealed: &Sealed) -> Attempt {
        match self.try_once(sealed).await {
            Ok(()) => {
                self.tries.forget(sealed.id);
                Attempt::accepted(sealed)
            }
            Err(failure) => Attempt::failed(sealed, &failure),
        }
    }

    async fn try_once(&mut self, sealed: &Sealed) -> Result<(), Failure> {
        let ready = self.ready().await?;
        let request = self.request(&ready, sealed).map_err(|_| Failure::down("the headers cannot be written"))?;
        let answer = self.client.send(&ready.url, request).await.map_err(|error| error.failure())?;
        let hidden = ready.headers.iter().map(|(_, value)| value.expose_secret().to_owned());
        let hidden: Vec<_> = hidden.filter(|value| value.len() >= SHORT).collect();
        self.tries.verdict((sealed.id, 0), &ready.url, &answer, &hidden)
    }

    /// Connects without sending anything.
    ///
    /// # Errors
    /// What does not work.
    pub(super) async fn check(&self) -> Result<String, Failure> {
        let ready = self.ready().await?;
        let reached = self.client.reach(&ready.url).await.map_err(|error| error.failure())?;
        let signed = match ready.keys.len() {
            0 => "not signed".to_owned(),
            1 => "signed".to_owned(),
            keys => format!("signed with {keys} secrets"),
        };
        Ok(format!("webhook {} {reached}, {signed}", self.method()))
    }

    /// Reads anew what may be in files.
    async fn ready(&self) -> Result<Ready, Failure> {
        let config = &self.config;
        let url = of(&config.url, "url", str::parse).await?;
        let keys = match &config.secret {
            Some(secret) => of(secret, "secret", SigningKey::parse_all).await?,
            None => Vec::new(),
        };
        let mut headers = config.headers.clone();
        if let Some(path) = &config.headers_file {
            let file = Secret::File(path.clone());
            headers.extend(of(&file, "headers-file", config::headers::parse).await?);
        }
        Ok(Ready { url, headers, keys })
    }

    fn request(&self, ready: &Ready, sealed: &Sealed) -> Result<Request, hyper::http::Error> {
        let id = sealed.id.to_string();
        let timestamp = Timestamp::now().as_second();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(&self.config.content_type)?);
        headers.insert("webhook-id", HeaderValue::from_str(&id)?);
        headers.insert("idempotency-key", HeaderValue::from_str(&id)?);
        headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
        if !ready.keys.is_empty() {
            let signature = sign::signature(&ready.keys, &id, timestamp, &sealed.bytes);
            headers.insert("webhook-signature", HeaderValue::from_str(&signature)?);
        }
        for (name, value) in &ready.headers {
            let mut value = HeaderValue::from_str(value.expose_secret())?;
            value.set_sensitive(true);
            headers.append(HeaderName::from_bytes(name.as_bytes())?, value);
        }
        Ok(Request { method: self.method(), headers, body: sealed.bytes.clone() })
    }

    fn method(&self) -> Method {
        match self.config.method {
            config::Method::Post => Method::POST,
            config::Method::Put => Method::PUT,
            config::Method::Patch => Method::PATCH,
        }
    }
}

/// A secret as it is now, in the form that is needed. One that is not there just now may come back.
pub(super) async fn of<T>(
    secret: &Secret,
    key: &str,
    form: impl FnOnce(&str) -> Result<T, Mistake>,
) -> Result<T, Failure> {
    let read = match secret.read().await {
        Ok(text) => form(text.expose_secret()),
        Err(mistake) => Err(mistake),
    };
    read.map_err(|mistake| Failure { hint: mistake.hint, ..Failure::down(format!("`{key}`: {}", mistake.message)) })
}

fn told(message: &Message) -> Told<'_> {
    let fields: BTreeMap<&str, &str> =
        message.notification.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Told {
        id: message.id.to_string(),
        route: &message.route,
        group: &message.group,
        phase: message.phase.name(),
        time: message.sealed_at.to_string(),
        total: message.total,
        subject: &message.notification.subject,
        text: message.notification.text(),
        fields,
    }
}
