//! Messages and mail sinks for tests of the delivery.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell::config::{Auth, EmailConfig, Login, Secret, SinkConfig, SmtpServer, SmtpTls, WebhookConfig};
use dockbell::deliver::email::{Email, Limits};
use dockbell::deliver::{Alarm, Attempt, Failure, Outbox, Retry, Sink, Sinks, Trouble, Undelivered, Waits};
use dockbell::message::{Alternative, Batch, Message, Notification, Phase};
use dockbell::store::{Filter, LIFETIME, NewMessage, Opened, Options, Place, Seal, Store, Summary};
use jiff::Timestamp;

/// The name that test messages give the machine.
pub const HOST: &str = "host-1";

/// A message with text and HTML, and an id made of `number`.
#[must_use]
pub fn message(number: u128, subject: &str) -> Message {
    let text = format!("{subject}\nexit code 137\n");
    let html = format!("<p>{subject}</p>");
    Message {
        id: ulid::Ulid::from(0x0192_0000_0000_0000_0000_0000_0000_0000_u128 + number),
        route: Arc::from("default"),
        group: "shop/web".to_owned(),
        phase: Phase::First,
        sealed_at: "2026-11-22T12:00:00Z".parse().expect("a time"),
        total: 3,
        notification: Notification {
            subject: subject.to_owned(),
            alternatives: vec![form("text/plain", &text), form("text/html", &html)],
            fields: vec![("severity".to_owned(), "error".to_owned())],
        },
    }
}

/// A message whose only form is this text.
#[must_use]
pub fn text_message(number: u128, subject: &str, text: &str) -> Message {
    let mut message = message(number, subject);
    message.notification.alternatives = vec![form("text/plain", text)];
    message
}

/// One form of a message.
#[must_use]
pub fn form(media_type: &str, content: &str) -> Alternative {
    Alternative { media_type: media_type.to_owned(), content: content.to_owned() }
}

/// Mail from `dockbell@example.com` to `ops@example.com` through a server on this port of 127.0.0.1.
#[must_use]
pub fn email(port: u16) -> EmailConfig {
    EmailConfig {
        server: SmtpServer {
            host: "127.0.0.1".to_owned(),
            port,
            tls: SmtpTls::None,
            login: None,
            ca: None,
            ehlo: None,
        },
        from: "dockbell <dockbell@example.com>".to_owned(),
        to: vec!["ops@example.com".to_owned()],
        rate: None,
    }
}

/// The same, protected.
#[must_use]
pub fn email_over(tls: SmtpTls, port: u16, ca: Option<PathBuf>) -> EmailConfig {
    let mut config = email(port);
    config.server.tls = tls;
    config.server.ca = ca;
    config
}

/// A login as `dockbell`.
#[must_use]
pub fn login(password: &str) -> Login {
    Login { user: "dockbell".to_owned(), secret: Secret::text(password), auth: Auth::Password }
}

/// A mail sink called `ops`.
///
/// # Panics
/// When the configuration cannot be used.
#[must_use]
pub fn sink(config: &EmailConfig) -> Sink {
    Sink::open("ops", &SinkConfig::Email(config.clone()), HOST, None).expect("a mail sink")
}

/// A mail sink called `ops` with other limits of time.
///
/// # Panics
/// When the configuration cannot be used.
#[must_use]
pub fn sink_within(config: &EmailConfig, limits: Limits) -> Sink {
    Sink::Email(Box::new(Email::open("ops", config, HOST).expect("a mail sink").with_limits(limits)))
}

/// Tries again after 20 to 40 ms, for tests that need no clock.
#[must_use]
pub fn soon() -> Retry {
    let waits = Waits { first: Duration::from_millis(40), most: Duration::from_millis(40) };
    Retry { sink: waits, message: waits, ..Retry::default() }
}

/// An outbox at work on a store.
#[derive(Debug)]
pub struct Post {
    /// The outbox.
    pub outbox: Outbox,
    /// Its store.
    pub store: Store,
    sinks: Sinks,
    troubles: Arc<Mutex<Vec<Trouble>>>,
}

impl Post {
    /// Delivers mail through a sink called `ops`, and keeps nothing.
    pub async fn mail(config: &EmailConfig) -> Self {
        Self::mail_in(&Place::Memory, config, Retry::default()).await
    }

    /// Delivers mail through a sink called `ops`.
    pub async fn mail_in(place: &Place, config: &EmailConfig, retry: Retry) -> Self {
        Self::start(place, "ops", [sink(config), sink(config)], retry).await
    }

    /// Delivers through one sink, which is there twice: one writes messages, the other delivers them.
    pub async fn start(place: &Place, name: &str, sink: [Sink; 2], retry: Retry) -> Self {
        Self::start_all(place, [(name, sink)], retry).await
    }

    /// Delivers through several sinks.
    ///
    /// # Panics
    /// When the store cannot be opened.
    pub async fn start_all<'a>(
        place: &Place,
        sinks: impl IntoIterator<Item = (&'a str, [Sink; 2])>,
        retry: Retry,
    ) -> Self {
        let place = place.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&place, &Options::default())).await;
        let Opened { store, .. } = opened.expect("no panic").expect("a store");
        let troubles = Arc::<Mutex<Vec<Trouble>>>::default();
        let told = Arc::clone(&troubles);
        let alarm = Alarm::new(move |trouble| told.lock().expect("no panic").push(trouble));
        let (mut writers, mut couriers) = (Vec::new(), Vec::new());
        for (name, [writer, courier]) in sinks {
            writers.push((name.to_owned(), writer));
            couriers.push((name.to_owned(), courier));
        }
        let outbox = Outbox::start(store.clone(), couriers, retry, &alarm);
        Self { outbox, store, sinks: Sinks::new(writers), troubles }
    }

    /// Puts a message into the store, and wakes the worker.
    pub async fn send(&self, sink: &str, message: &Message) {
        self.put(sink, self.seal(sink, message).await).await;
    }

    /// A message as a sink writes it.
    pub async fn seal(&self, sink: &str, message: &Message) -> Vec<NewMessage> {
        let batch = Batch {
            route: Arc::clone(&message.route),
            group: message.group.clone(),
            phase: message.phase,
            total: 0,
            span_nanos: (0, 0),
            counts: vec![],
            events: vec![],
            notes: vec![],
            between: String::new(),
        };
        let mut messages = self.sinks.seal(sink, &Arc::from([message.clone()]), Some(&batch)).await;
        // Test messages were made on a certain day, whatever day it is now.
        let deadline = Timestamp::now().checked_add(LIFETIME).ok();
        messages.iter_mut().for_each(|message| message.deadline = deadline);
        messages
    }

    /// Puts messages that were written already into the store, and wakes the worker.
    ///
    /// # Panics
    /// When the store does not take them.
    pub async fn put(&self, sink: &str, messages: Vec<NewMessage>) {
        self.store.seal(Seal { messages, ..Seal::default() }).await.expect("stored");
        self.outbox.wake(sink);
    }

    /// What became of the messages, the oldest first.
    ///
    /// # Panics
    /// When the store does not answer.
    pub async fn messages(&self) -> Vec<Summary> {
        let mut messages = self.store.messages(Filter { most: 1000, ..Filter::default() }).await.expect("a list");
        messages.sort_by_key(|message| message.number);
        messages
    }

    /// Ends as a program does: what can be delivered within `grace` is, and the store is given free.
    ///
    /// # Panics
    /// When the store cannot be closed.
    pub async fn end(self, grace: Duration) -> Undelivered {
        let undelivered = self.outbox.close(grace).await;
        self.store.close().await.expect("closed");
        undelivered
    }

    /// What the operator was told.
    ///
    /// # Panics
    /// When the worker panicked meanwhile.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.troubles.lock().expect("no panic").clone()
    }
}

impl std::ops::Deref for Post {
    type Target = Outbox;

    fn deref(&self) -> &Outbox {
        &self.outbox
    }
}

/// A webhook called `hook` to a receiver on this machine.
#[must_use]
pub fn webhook_to(url: &str) -> WebhookConfig {
    WebhookConfig { allow_loopback: true, ..WebhookConfig::new(Secret::text(url)) }
}

/// The sink of a webhook.
///
/// # Panics
/// When the configuration cannot be used.
#[must_use]
pub fn hook(config: &WebhookConfig) -> Sink {
    Sink::open("hook", &SinkConfig::Webhook(Box::new(config.clone())), HOST, None).expect("a webhook")
}

/// A message with 2000 lines, which no chat service takes.
#[must_use]
pub fn long_message(number: u128) -> Message {
    let lines: Vec<String> =
        (1..=2000).map(|line| format!("line {line}: web-{line} died with exit code 137")).collect();
    text_message(number, "web died", &lines.join("\n"))
}

/// The one failure of an attempt.
///
/// # Panics
/// When there is not just one.
#[must_use]
pub fn only_failure(attempt: Attempt) -> Failure {
    assert!(attempt.accepted.is_empty() && attempt.failed.len() == 1, "{attempt:?}");
    attempt.failed.into_iter().next().expect("a failure").1
}
