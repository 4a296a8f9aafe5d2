//! Messages to chat and push services. tocsin makes requests of an Apprise URL and a text; dockbell sends them.

mod fit;
mod mention;
mod plan;
mod service;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tocsin::{Notification, Outcome, PreparedRequest, Response, Service, TransportError};

use self::fit::Text;
use self::plan::{address, notification, place, targets};
use self::service::Shape;
use super::http::{Client, Proxies, Tries};
use super::webhook::of;
use super::{Attempt, Failure, Fault, Sealed};
use crate::config::{Environment, NotifyConfig, notify};
use crate::message::Message;
use crate::tls::TlsError;

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
        let proxies = Proxies::of(&Environment::of_process());
        let client = Client::new(config.ca.as_deref(), config.allow_loopback)?.with_proxies(proxies);
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
        let named = self.config.service.name();
        let urgent = |url: &str| notify::service(&plan::with_priority(url, named, &text.severity));
        match of(&self.config.url, "url", urgent).await {
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
        let reached = self.client.reach(&url).await.map_err(|error| error.failure())?;
        Ok(format!("{} by {reached}", service.name()))
    }

    /// Tells those who have not been told yet: each channel with its own request, or all together where the service wants
    /// several requests for one message.
    async fn tell(&mut self, sealed: &Sealed, service: &Service, told: &Notification) -> Attempt {
        let targets = targets(service, told);
        let places: Option<Vec<usize>> = sealed.pending.iter().map(|pending| place(pending, targets)).collect();
        let each = places.as_ref().filter(|_| targets > 1);
        let mut plan = service.plan(told);
        let mut results = Vec::new();
        while let Some(request) = plan.next_request() {
            if places.as_ref().is_some_and(|places| !places.contains(&results.len())) {
                plan.report(Ok(Response::new(200)));
                results.push(Ok(String::new()));
                continue;
            }
            let result = self.send(sealed, results.len(), service, &request).await;
            let (report, result) = match result {
                Ok((response, said)) => (Ok(response), Ok(said)),
                Err(refused) => (Err(TransportError::Connection), Err(refused)),
            };
            plan.report(report);
            let stops =
                |refused: &Refused| refused.failure.fault == Fault::Sink && !(refused.of_channel && each.is_some());
            let ends = result.as_ref().is_err_and(stops);
            results.push(result);
            if ends {
                break;
            }
        }
        let outcomes = plan.finish();
        match places {
            Some(places) => self.each(sealed, &places, targets, results, &outcomes),
            None => self.together(sealed, results, &outcomes),
        }
    }

    /// Gives each channel its own result.
    fn each(
        &mut self,
        sealed: &Sealed,
        places: &[usize],
        targets: usize,
        results: Vec<Sent>,
        outcomes: &[Outcome],
    ) -> Attempt {
        // What all of them answer is about the sink; else the others are not to wait for one.
        let closed = |sent: &Sent| matches!(sent, Err(Refused { of_channel: true, failure }) if failure.lasting);
        let all =
            targets == places.len() && results.iter().all(|sent| matches!(sent, Err(refused) if refused.of_channel));
        let all_closed = all && results.iter().all(closed);
        let last = results.iter().rev().find_map(|sent| sent.as_ref().err()).cloned();
        let mut attempt = Attempt::default();
        for (pending, place) in sealed.pending.iter().zip(places) {
            let refused = match (results.get(*place), outcomes.get(*place)) {
                (Some(Ok(_)), Some(Outcome::Delivered(_))) => None,
                (Some(Ok(said)), _) => Some(Refused::other(self.refused(sealed, *place, said, None))),
                (Some(Err(refused)), _) => Some(refused.clone()),
                // It was not asked any more after the one before had failed.
                (None, _) => last.clone(),
            };
            match refused {
                None => attempt.accepted.push(Arc::clone(pending)),
                Some(Refused { mut failure, of_channel }) => {
                    if of_channel && targets > 1 && !all_closed && (failure.lasting || !all) {
                        self.of_recipient(sealed, *place, &mut failure);
                    }
                    attempt.failed.push((Arc::clone(pending), failure));
                }
            }
        }
        if attempt.failed.is_empty() {
            self.tries.forget(sealed.id);
        }
        attempt
    }

    /// Makes a refusal of credentials, or the end of a channel, the fault of this channel alone. Credentials are tried as often
    /// as a message that is refused.
    fn of_recipient(&mut self, sealed: &Sealed, place: usize, failure: &mut Failure) {
        if !failure.lasting {
            (failure.fault, failure.lasting) = (Fault::Message, true);
            self.tries.count(sealed.id, place, failure);
        }
        failure.fault = Fault::Recipient;
    }

    fn together(&mut self, sealed: &Sealed, results: Vec<Sent>, outcomes: &[Outcome]) -> Attempt {
        let said = results.iter().rev().find_map(|result| result.as_ref().ok()).cloned().unwrap_or_default();
        if let Some(refused) = results.into_iter().find_map(Result::err) {
            return Attempt::failed(sealed, &refused.failure);
        }
        if outcomes.iter().all(|outcome| matches!(outcome, Outcome::Delivered(_))) {
            self.tries.forget(sealed.id);
            return Attempt::accepted(sealed);
        }
        let failure = self.refused(sealed, 0, &said, None);
        Attempt::failed(sealed, &failure)
    }

    /// A service that answers with 200 and says no in the body.
    fn refused(&mut self, sealed: &Sealed, place: usize, said: &str, retry_after: Option<Duration>) -> Failure {
        let hint = Some("check the channel and the token in the URL".to_owned());
        let error = format!("the service did not take the message: {said}");
        let mut failure = Failure { fault: Fault::Message, lasting: true, retry_after, hint, ..Failure::down(error) };
        self.tries.count(sealed.id, place, &mut failure);
        failure
    }

    /// Sends one request; what the service said, for the plan and in words.
    async fn send(
        &mut self,
        sealed: &Sealed,
        place: usize,
        service: &Service,
        request: &PreparedRequest,
    ) -> Result<(Response, String), Refused> {
        let url = address(request).map_err(Refused::other)?;
        let (request, hidden) = plan::request(&url, request).map_err(Refused::other)?;
        let sent = self.client.send(&url, request).await;
        let answer = sent.map_err(|error| Refused::other(error.failure()))?;
        let of_channel = matches!(answer.status.as_u16(), 401 | 403 | 407 | 410);
        let verdict = self.tries.verdict((sealed.id, place), &url, &answer, &hidden);
        verdict.map_err(|failure| Refused { failure, of_channel })?;
        let said = format!("{url}: {}", answer.words(&url, &hidden));
        if verdict::refuses(service.name(), &answer.body) {
            return Err(Refused::other(self.refused(sealed, place, &said, answer.retry_after())));
        }
        Ok((Response::with_body(answer.status.as_u16(), answer.body.to_vec()), said))
    }
}

/// What the service said in words, or why there is no answer.
type Sent = Result<String, Refused>;

/// Why a request told nobody.
#[derive(Debug, Clone)]
struct Refused {
    failure: Failure,
    /// Whether the answer speaks of the credentials or the end of what was asked, which of several channels may be those of
    /// one alone.
    of_channel: bool,
}

impl Refused {
    fn other(failure: Failure) -> Self {
        Self { failure, of_channel: false }
    }
}

fn unreadable(error: &serde_json::Error) -> Failure {
    let error = format!("the stored text cannot be read: {error}");
    Failure { fault: Fault::Message, lasting: true, ..Failure::down(error) }
}
