//! `type = "notify"`: messages to chat and push services, by their Apprise URL.

use std::path::PathBuf;

use tocsin::{Notification, ParseError, Service};
use url::Url;

use super::document::Table;
use super::problem::Mistake;
use super::rate::Rate;
use super::secret::Secret;
use super::value::Value;
use super::webhook;

/// The services and how their URLs begin, for hints and the manual.
const FORMS: &str = "known are `slack://`, `discord://`, `tgram://`, `ntfy://`, `ntfys://`, `gotify://`, `gotifys://`, \
                     `workflows://` (Teams), `mmost://`, `rocket://`, `gchat://`, `zulip://`, `pover://`, `pbul://`, \
                     `prowl://`, `bark://`, `signal://`, `hassio://`, `pagerduty://`, `dingtalk://`, `feishu://`, \
                     `lark://`, `wecombot://` and `schan://`, as Apprise writes them";

/// Messages to a chat or push service. The URL is written as for Apprise (<https://github.com/caronc/apprise/wiki>).
///
/// ```toml
/// [sinks.chat]
/// type = "notify"
/// url-file = "/run/secrets/chat"       # such as slack://T0/B0/XXX, discord://id/token, tgram://token/chat, ntfys://host/topic
/// whole = "the mail to ops"            # "… and 312 more lines; the whole message is in the mail to ops"
/// ```
///
/// A text that is longer than the service takes is cut at the end of a line, and says how many lines are missing. A URL
/// that names several channels reaches each on its own: one that fails is tried again alone. The answers of a service mean
/// what they mean for a [webhook](super::WebhookConfig); the pause that Discord and Telegram ask for is kept too.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// `url`, or `url-file`: a file that holds it, read anew for each message. `format`, `overflow` and `verify=no` do not
    /// belong in it: dockbell sends plain text, fits it itself, and checks each certificate.
    pub url: Secret,
    /// The service that the URL names at the start; a message is cut to what it takes.
    pub service: Service,
    /// `whole`: where a message that is cut off can be read in full, as the end of the sentence "the whole message is in …".
    /// Default: the message's id is told instead.
    pub whole: Option<String>,
    /// `allow-loopback`: whether a service on this machine itself may be asked. Default `false`.
    pub allow_loopback: bool,
    /// `ca`: PEM file of further certificates to trust: those that sign services', or the service's own. Default: the system's alone.
    pub ca: Option<PathBuf>,
    /// `rate`: how many messages may be sent, such as `30/min`: so many at once, then one by one evenly over the time; what is
    /// above it waits, and is merged. `unlimited` for no limit. Default `20/min`.
    pub rate: Option<Rate>,
}

impl NotifyConfig {
    /// A service with all defaults, and without a limit to its rate.
    ///
    /// # Errors
    /// A URL that names no service.
    pub fn new(url: &str) -> Result<Self, Mistake> {
        let service = service(url)?;
        Ok(Self { url: Secret::text(url), service, whole: None, allow_loopback: false, ca: None, rate: None })
    }

    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let hint = "such as `url-file = \"/run/secrets/chat\"`, a file that holds the URL";
        let url = webhook::url(table, hint, service);
        let whole = table.take("whole").and_then(whole);
        let allow_loopback = table.take("allow-loopback").and_then(Value::truth).unwrap_or_default();
        let ca = table.take("ca").and_then(Value::path);
        let rate = Rate::read(table, Some(Rate::CHAT));
        let (url, service) = url?;
        Some(Self { url, service, whole, allow_loopback, ca, rate })
    }
}

/// The service that a URL names.
///
/// # Errors
/// A URL that names none, or asks for what dockbell does not do. No message repeats any part of it.
pub fn service(text: &str) -> Result<Service, Mistake> {
    let text = text.trim();
    let service = Service::parse(text).map_err(|error| match error {
        ParseError::UnsupportedService => Mistake::new("names a service that is not known", FORMS),
        ParseError::InvalidToken => {
            Mistake::new("has no valid token", "compare it with the service's page in Apprise's wiki")
        }
        ParseError::InvalidOption => Mistake::new("has an option with a wrong value", "remove what is behind the `?`"),
        _ => Mistake::new("is not the URL of a service", FORMS),
    })?;
    let options = Url::parse(text).map(|url| url.query_pairs().map(|(key, _)| key.to_lowercase()).collect::<Vec<_>>());
    for (option, hint) in [
        ("format", "dockbell sends plain text; remove `format`"),
        ("overflow", "dockbell fits each text to the service; remove `overflow`"),
    ] {
        if options.iter().flatten().any(|key| key == option) {
            return Err(Mistake::new(format!("has the option `{option}`"), hint));
        }
    }
    if !service.options().verify_tls() {
        let hint = "name the certificate's signer instead: `ca = \"/path/to/ca.pem\"`";
        return Err(Mistake::new("turns off the check of certificates", hint));
    }
    if service.plan(&Notification::new("x")).next_request().is_none() {
        return Err(Mistake::new("names nobody to tell", "add a channel, a chat or a topic to it"));
    }
    Ok(service)
}

fn whole(value: Value<'_>) -> Option<String> {
    /// Longer than a pointer is; it must leave room for the message in each service.
    const LONGEST: usize = 200;
    let document = value.document;
    let (text, place) = value.string()?;
    if text.is_empty() || text.len() > LONGEST || text.contains(char::is_control) {
        let hint = format!("one line of at most {LONGEST} bytes, such as `whole = \"the mail to ops\"`");
        document.report(&place, Mistake::new("does not say where a message is", hint));
        return None;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_apprise_are_known() {
        for (text, name) in [
            ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops", "slack"),
            ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "slack"),
            ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord"),
            ("tgram://123456789:abcdefg_hijklmnop/12315544", "telegram"),
            ("ntfy://alerts", "ntfy"),
            ("ntfys://user:password@ntfy.example.com/alerts", "ntfy"),
            ("gotify://gotify.example.com/Ab.c1234567890d", "gotify"),
            ("pover://uzXK1jdhE1gnmBX9oFpQBvbGUXVvLF@azGDORePK8gMaC0QOYAMyEEuzJnyUi", "pushover"),
        ] {
            assert_eq!(service(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}")).name(), name);
        }
    }

    #[test]
    fn what_dockbell_does_not_do_is_told_without_repeating_the_url() {
        for (text, what) in [
            ("hunter2", "hint: known are `slack://`"),
            ("matrix://hunter2:hunter2@example.com/room", "names a service that is not known"),
            ("discord://hunter2", "has no valid token"),
            ("ntfys://example.com/hunter2?format=markdown", "dockbell sends plain text"),
            ("ntfys://example.com/hunter2?Overflow=split", "fits each text"),
            ("ntfys://example.com/hunter2?verify=no", "turns off the check of certificates"),
        ] {
            let mistake = service(text).unwrap_err().to_string();
            assert!(mistake.contains(what) && !mistake.contains("hunter2"), "{text}: {mistake}");
        }
    }
}
