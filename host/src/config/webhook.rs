//! `type = "webhook"`: messages as HTTP requests.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use super::document::Table;
use super::headers;
use super::http_url::HttpUrl;
use super::problem::Mistake;
use super::rate::Rate;
use super::secret::Secret;
use super::signing::SigningKey;
use super::template::Template;
use super::value::Value;

/// Messages as HTTP requests, each with the id of its message, so that a receiver can drop a repetition.
///
/// ```toml
/// [sinks.hook]
/// type = "webhook"
/// url-file = "/run/secrets/hook"                 # or url = "https://hooks.example.com/dockbell"
/// secret-file = "/run/secrets/hook-signing"      # signs as Standard Webhooks have it
/// headers = { "X-Team" = "ops" }
/// template = '{"text": {{ subject }}, "detail": {{ text }}}'
/// ```
///
/// Each request has the headers `webhook-id` and `Idempotency-Key` (the message's id, the same on each attempt) and
/// `webhook-timestamp` (seconds, of the attempt). An answer of 2xx means that the receiver has the message. 408, 425, 429
/// and 5xx are tried again, not before `Retry-After` (at most 6 h); 410 closes the sink; 401, 403 and 407 let its messages
/// wait; any other 4xx loses the message after three tries; 3xx at once: no redirect is followed.
#[derive(Clone)]
pub struct WebhookConfig {
    /// `url`, or `url-file`: a file that holds it, read anew for each message. `https://`, or `http://` on the own network;
    /// a login in it is sent as `Authorization: Basic`. No log and no error shows more of it than its host.
    pub url: Secret,
    /// `method`: `POST`, `PUT` or `PATCH`. Default `POST`.
    pub method: Method,
    /// `headers`: names and values that are sent along. The values are kept secret.
    pub headers: Vec<(String, SecretString)>,
    /// `headers-file`: a file of further headers, one `Name: value` per line, read anew for each message.
    pub headers_file: Option<PathBuf>,
    /// `content-type`. Default `application/json`.
    pub content_type: String,
    /// `template`: the body, in the language of Jinja. Default: what the route's formatter made as `application/json`, else
    /// an object of `id`, `route`, `group`, `phase`, `time`, `subject`, `text` and `fields`, under which names a template
    /// finds them too, and `total`.
    pub template: Option<Template>,
    /// `secret`, a text or a list of them, or `secret-file`, one per line and read anew for each message: signs each
    /// request (`webhook-signature`), with several while one replaces the other. Default: not signed.
    pub secret: Option<Secret>,
    /// `allow-loopback`: whether a receiver on this machine itself may be asked. Default `false`: a name that somebody else
    /// controls could lead to what only this machine may reach.
    pub allow_loopback: bool,
    /// `ca`: PEM file of further certificates to trust: those that sign receivers', or the receiver's own. Default: the system's alone.
    pub ca: Option<PathBuf>,
    /// `rate`: how many messages may be sent, such as `30/min`: so many at once, then one by one evenly over the time; what is
    /// above it waits, and is merged. `unlimited` for no limit. Default: unlimited.
    pub rate: Option<Rate>,
}

/// What a request asks of its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("WebhookConfig")
            .field("url", &self.url)
            .field("method", &self.method)
            .field("headers", &names)
            .field("headers_file", &self.headers_file)
            .field("content_type", &self.content_type)
            .field("template", &self.template)
            .field("secret", &self.secret)
            .field("allow_loopback", &self.allow_loopback)
            .field("ca", &self.ca)
            .field("rate", &self.rate)
            .finish()
    }
}

impl WebhookConfig {
    /// A webhook with all defaults.
    #[must_use]
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            method: Method::default(),
            headers: Vec::new(),
            headers_file: None,
            content_type: "application/json".to_owned(),
            template: None,
            secret: None,
            allow_loopback: false,
            ca: None,
            rate: None,
        }
    }

    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let hint = "such as `url-file = \"/run/secrets/hook\"`, a file that holds the URL";
        let url = url(table, hint, str::parse::<HttpUrl>);
        let methods = [("POST", Method::Post), ("PUT", Method::Put), ("PATCH", Method::Patch)];
        let method = table.take("method").and_then(|value| value.choice(&methods)).unwrap_or_default();
        let headers = headers::table(table);
        let headers_file = table.take("headers-file").and_then(headers::file);
        let content_type = content_type(table).unwrap_or_else(|| "application/json".to_owned());
        let template = template(table, is_json(&content_type));
        let secret = secret(table);
        let allow_loopback = table.take("allow-loopback").and_then(Value::truth).unwrap_or_default();
        let ca = table.take("ca").and_then(Value::path);
        let rate = Rate::read(table, None);
        let (url, _) = url?;
        Some(Self { url, method, headers, headers_file, content_type, template, secret, allow_loopback, ca, rate })
    }
}

/// `url` or `url-file`, and what `form` makes of it.
pub(super) fn url<T>(
    table: &mut Table<'_>,
    hint: &str,
    form: impl FnOnce(&str) -> Result<T, Mistake>,
) -> Option<(Secret, T)> {
    if !table.has("url") && !table.has("url-file") {
        table.report(Mistake::new("`url` is missing", hint));
    }
    let given = table.secret("url", "url-file")?;
    let formed = form(&given.text).map_err(|mistake| table.document.report(&given.place, mistake)).ok()?;
    Some((given.secret(), formed))
}

fn content_type(table: &mut Table<'_>) -> Option<String> {
    let (text, place) = table.take("content-type")?.string()?;
    let is_type = text.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty());
    if !is_type || headers::check("x", &text).is_err() {
        let hint = "such as `application/json` or `text/plain; charset=utf-8`";
        table.document.report(&place, Mistake::new("is not a media type", hint));
        return None;
    }
    Some(text)
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

fn template(table: &mut Table<'_>, is_json: bool) -> Option<Template> {
    let (text, place) = table.take("template")?.string()?;
    Template::new(text, is_json).map_err(|mistake| table.document.report(&place, mistake)).ok()
}

fn secret(table: &mut Table<'_>) -> Option<Secret> {
    let (secret, file) = (table.take("secret"), table.take("secret-file"));
    let (text, place, path) = match (secret, file) {
        (Some(_), Some(file)) => {
            file.report(Mistake::new("`secret` is set, and `secret-file` too", "remove `secret` or `secret-file`"));
            return None;
        }
        (Some(value), None) => {
            let place = value.place.clone();
            let secrets: Vec<_> = value.strings()?.into_iter().map(|(secret, _)| secret).collect();
            (Ok(secrets.join("\n")), place, None)
        }
        (None, Some(file)) => {
            let place = file.place.clone();
            let path = file.path()?;
            (super::file::read_value(&path), place, Some(path))
        }
        (None, None) => return None,
    };
    let checked = text.and_then(|text| SigningKey::parse_all(&text).map(|_| text));
    let text = checked.map_err(|mistake| table.document.report(&place, mistake)).ok()?;
    Some(path.map_or_else(|| Secret::text(&text), Secret::File))
}
