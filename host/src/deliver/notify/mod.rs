//! Messages to chat and push services. tocsin makes requests of an Apprise URL and a text; dockbell sends them.

mod fit;
mod mention;
mod plan;
mod service;

use std::sync::Arc;

use bytes::Bytes;
use tocsin::{Notification, Outcome, PreparedRequest, Response, Service, TransportError};

use self::fit::Text;
use self::plan::{address, notification, place, targets};
use self::service::Shape;
use super::http::{Client, Tries};
use super::tls::TlsError;
use super::webhook::of;
use super::{Attempt, Failure, Fault, Sealed};
use crate::config::{NotifyConfig, notify};
use crate::message::Message;

/// A chat or push service.
#[derive(Debug)]
pub struct Notify {
    name: String,
    config: NotifyConfig,
    client: Client,
    tries: Tries,
}

impl Notify {
    /// Reads the certificates of `ca`; connects to nothing.
    ///
    /// # Errors
    /// A file of certificates that cannot be used.
    pub fn open(name: &str, config: &NotifyConfig) -> Result<Self, TlsError> {
        let client = Client::new(config.ca.as_deref(), config.allow_loopback)?;
        Ok(Self { name: name.to_owned(), config: config.clone(), client, tries: Tries::default() })
    }

    /// The same with another client, such as one with another way to find addresses.
    #[must_use]
    pub fn with_client(mut self, change: impl FnOnce(Client) -> Client) -> Self {
        self.client = change(self.client);
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The text that tells a message, cut to what the service takes. Where the URL names several channels, each is a
    /// recipient, by its number: what they are called is a secret.
    pub(super) fn seal(&self, message: &Message) -> Sealed {
        let service = &self.config.service;
        let text = fit::fit(message, Shape::of(service.name()), self.config.whole.as_deref());
        let targets = targets(service, &notification(&text));
        let name = &self.name;
        Sealed {
            id: message.id,
            subject: message.notification.subject.clone(),
            // Strings can always be written; nothing would be reported as unreadable.
            bytes: Bytes::from(serde_json::to_vec(&text).unwrap_or_default()),
            plainer: None,
            pending: match targets {
                1 => vec![Arc::from(name.as_str())],
                _ => (1..=targets).map(|number| Arc::from(format!("{name} {number}/{targets}"))).collect(),
            },
        }
    }

    pub(super) async fn deliver(&mut self, sealed: &Sealed) -> Attempt {
        let text: Text = match serde_json::from_slice(&sealed.bytes) {
            Ok(text) => text,
            Err(error) => return Attempt::failed(sealed, &unreadable(&error)),
        };
        match of(&self.config.url, "url", notify::service).await {
            Ok(service) => self.tell(sealed, &service, &notification(&text)).await,
            Err(failure) => Attempt::failed(sealed, &failure),
        }
    }

    /// Connects without sending anything.
    ///
    /// # Errors
    /// What does not work.
    pub(super) async fn check(&self) -> Result<String, Failure> {
        let service = of(&self.config.url, "url", notify::service).await?;
        let request = service.plan(&Notification::new("x")).next_request();
        let request = request.ok_or_else(|| Failure::down("`url` names nobody to tell"))?;
        let url = address(&request)?;
        self.client.reach(&url).await.map_err(|error| error.failure())?;
        Ok(format!("{} by {url}", service.name()))
    }

    /// Tells those who have not been told yet: each channel with its own request, or all together where the service wants
    /// several requests for one message.
    async fn tell(&mut self, sealed: &Sealed, service: &Service, told: &Notification) -> Attempt {
        let targets = targets(service, told);
        let places: Option<Vec<usize>> = sealed.pending.iter().map(|pending| place(pending, targets)).collect();
        let mut plan = service.plan(told);
        let mut results = Vec::new();
        while let Some(request) = plan.next_request() {
            if places.as_ref().is_some_and(|places| !places.contains(&results.len())) {
                plan.report(Ok(Response::new(200)));
                results.push(Ok(String::new()));
                continue;
            }
            let result = self.send(sealed, results.len(), &request).await;
            let (report, result) = match result {
                Ok((response, said)) => (Ok(response), Ok(said)),
                Err(failure) => (Err(TransportError::Connection), Err(failure)),
            };
            plan.report(report);
            let is_down = result.as_ref().is_err_and(|failure| failure.fault == Fault::Sink);
            results.push(result);
            if is_down {
                break;
            }
        }
        let outcomes = plan.finish();
        match places {
            Some(places) => self.each(sealed, &places, &results, &outcomes),
            None => self.together(sealed, results, &outcomes),
        }
    }

    fn each(&mut self, sealed: &Sealed, places: &[usize], results: &[Sent], outcomes: &[Outcome]) -> Attempt {
        let mut attempt = Attempt::default();
        let last = results.iter().rev().find_map(|result| result.as_ref().err());
        for (pending, place) in sealed.pending.iter().zip(places) {
            let failure = match (results.get(*place), outcomes.get(*place)) {
                (Some(Ok(_)), Some(Outcome::Delivered(_))) => None,
                (Some(Ok(said)), _) => Some(self.refused(sealed, *place, said)),
                (Some(Err(failure)), _) => Some(failure.clone()),
                // It was not asked any more after the one before had failed.
                (None, _) => last.cloned(),
            };
            match failure {
                Some(failure) => attempt.failed.push((Arc::clone(pending), failure)),
                None => attempt.accepted.push(Arc::clone(pending)),
            }
        }
        attempt
    }

    fn together(&mut self, sealed: &Sealed, results: Vec<Sent>, outcomes: &[Outcome]) -> Attempt {
        let said = results.iter().rev().find_map(|result| result.as_ref().ok()).cloned().unwrap_or_default();
        if let Some(failure) = results.into_iter().find_map(Result::err) {
            return Attempt::failed(sealed, &failure);
        }
        if outcomes.iter().all(|outcome| matches!(outcome, Outcome::Delivered(_))) {
            self.tries.forget(sealed.id);
            return Attempt::accepted(sealed);
        }
        let failure = self.refused(sealed, 0, &said);
        Attempt::failed(sealed, &failure)
    }

    /// A service that answers with 200 and says no in the body.
    fn refused(&mut self, sealed: &Sealed, place: usize, said: &str) -> Failure {
        let hint = Some("check the channel and the token in the URL".to_owned());
        let error = format!("the service did not take the message: {said}");
        let mut failure = Failure { fault: Fault::Message, lasting: true, hint, ..Failure::down(error) };
        self.tries.count(sealed.id, place, &mut failure);
        failure
    }

    /// Sends one request; what the service said, for the plan and in words.
    async fn send(
        &mut self,
        sealed: &Sealed,
        place: usize,
        request: &PreparedRequest,
    ) -> Result<(Response, String), Failure> {
        let url = address(request)?;
        let (request, hidden) = plan::request(&url, request)?;
        let sent = self.client.send(&url, request).await;
        let answer = sent.map_err(|error| error.failure())?;
        self.tries.verdict((sealed.id, place), &url, &answer, &hidden)?;
        let said = answer.words(&url, &hidden);
        Ok((Response::with_body(answer.status.as_u16(), answer.body.to_vec()), format!("{url}: {said}")))
    }
}

/// What the service said in words, or why there is no answer.
type Sent = Result<String, Failure>;

fn unreadable(error: &serde_json::Error) -> Failure {
    let error = format!("the stored text cannot be read: {error}");
    Failure { fault: Fault::Message, lasting: true, ..Failure::down(error) }
}
