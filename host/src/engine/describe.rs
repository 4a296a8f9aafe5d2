//! Who answers: product, version, and which API to speak.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{DATE, SERVER};
use hyper::{HeaderMap, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::address::Address;
use super::api::{ANSWER_LIMIT, Engine, LARGEST_ANSWER, message};
use super::error::{EngineError, Fault, quoted};
use super::version::ApiVersion;
use crate::text;

/// How long `/version` may take. It is asked beside `/_ping`, which has its own limit.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Most bytes of the name, the version or the id of an engine that are kept.
const LONGEST_NAME: usize = 100;

/// What is wanted of `/info`.
#[derive(Deserialize)]
struct Info {
    #[serde(rename = "ID")]
    id: Option<String>,
}

/// An engine that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `Docker`, `Podman`, or what the engine calls itself.
    pub product: String,
    /// Its version, such as `20.10.24`; empty where neither `/version` nor the `Server` header says it.
    pub version: String,
    /// The API version that requests name; none where they name none.
    pub api_version: Option<ApiVersion>,
    /// The newest API version that the engine serves; none where a proxy hides it.
    pub newest_api: Option<ApiVersion>,
    /// The oldest; none where it does not say (Podman, old engines, a proxy that forbids `/version`).
    pub oldest_api: Option<ApiVersion>,
    /// The engine's clock, when it was asked.
    pub(super) clock: Clock,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.product)?;
        if !self.version.is_empty() {
            write!(f, " {}", self.version)?;
        }
        match self.api_version {
            Some(version) => write!(f, ", API {version}"),
            None => Ok(()),
        }
    }
}

/// What time it is for the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    /// Not later than when the engine was asked.
    pub(super) at: Timestamp,
    /// When that was here.
    pub(super) asked: Instant,
}

impl Clock {
    /// Takes the engine's time from the `Date` header of an answer to a request that was sent at `sent`.
    ///
    /// The header has whole seconds, rounded down: its time is up to 1 s early. Where the engine surely has our clock (a
    /// unix socket, and its second fits ours), ours is taken, which is exact. Elsewhere a stream that starts from here
    /// tells up to 1 s of what happened before; the other way round it could miss as much.
    fn new(sent: Timestamp, asked: Instant, headers: &HeaderMap, address: &Address) -> Self {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
        let at = match date {
            Some(date) if !matches!(address, Address::Unix(_)) || !same_clock(sent, date) => date,
            _ => sent,
        };
        Self { at, asked }
    }

    /// The engine's time now.
    pub(super) fn now(self) -> Timestamp {
        self.at.checked_add(self.asked.elapsed()).unwrap_or(self.at)
    }
}

/// Whether a date that was written after `sent`, in whole seconds, can come from the clock that said `sent`.
fn same_clock(sent: Timestamp, date: Timestamp) -> bool {
    (0..=2).contains(&(date.as_second() - sent.as_second()))
}

/// What `/_ping` says.
struct Ping {
    api: Option<ApiVersion>,
    server: String,
    clock: Clock,
}

/// What `/version` says.
#[derive(Default)]
struct Version {
    product: String,
    version: String,
    newest: Option<ApiVersion>,
    oldest: Option<ApiVersion>,
}

impl Engine {
    /// The id that the engine gave itself when it was installed; none where it has none (Podman), does not answer, or a proxy
    /// forbids `/info`.
    pub async fn id(&self) -> Option<Arc<str>> {
        let said = async { self.get_unversioned("/info", LARGEST_ANSWER).await?.into_body().whole().await };
        let body = timeout(VERSION_LIMIT, said).await.ok()?.ok()?;
        let info: Info = serde_json::from_slice(&body).ok()?;
        let id = text::one_line(&info.id?, LONGEST_NAME);
        (!id.is_empty()).then(|| id.into())
    }

    /// Asks the engine who it is and agrees on the API version for all further requests. A proxy may forbid `/version` or
    /// `/_ping`, not both.
    ///
    /// # Errors
    /// What stands between us and the engine, with a hint: see [`Fault`].
    pub async fn describe(&self) -> Result<Description, EngineError> {
        self.greet().await.map_err(|fault| self.error(fault))
    }

    pub(super) async fn greet(&self) -> Result<Description, Fault> {
        let asked = Clock { at: Timestamp::now(), asked: Instant::now() };
        let ping = match self.ping().await {
            Err(Fault::Status { status: status @ (300..=399 | 404 | 405), path, .. }) => {
                return Err(Fault::NotAnEngine(format!("`{path}` was answered with status {status}")));
            }
            Err(fault) if !matches!(fault, Fault::Status { status: 401 | 403, .. }) => return Err(fault),
            answered_or_forbidden => answered_or_forbidden,
        };
        let version = self.version().await;
        if let Err(fault) = &version {
            tracing::debug!(engine = %self.name(), "`/version` is not served: {fault}");
        }
        let (ping, version) = match (ping, version) {
            (Err(fault), Err(_)) => return Err(fault),
            (Ok(Ping { api: None, .. }), Err(_)) => {
                return Err(Fault::NotAnEngine("the answer to `/_ping` names no `Api-Version`".to_owned()));
            }
            (Ok(ping), version) => (ping, version.unwrap_or_default()),
            (Err(_), Ok(version)) => (Ping { api: None, server: String::new(), clock: asked }, version),
        };
        let newest_api = version.newest.or(ping.api);
        let api_version = newest_api.and_then(|newest| ApiVersion::spoken(version.oldest, newest));
        if self.speak(api_version)
            && let Some(version) = newest_api.filter(|version| version.is_untested())
        {
            tracing::warn!(engine = %self.name(), "the engine's API {version} is older than any that dockbell was tested with");
        }
        let (product, number) = server(&ping.server);
        let either =
            |said: &str, header: &str| text::one_line(if said.is_empty() { header } else { said }, LONGEST_NAME);
        Ok(Description {
            product: either(&version.product, product),
            version: either(&version.version, number),
            api_version,
            newest_api,
            oldest_api: version.oldest,
            clock: ping.clock,
        })
    }

    async fn ping(&self) -> Result<Ping, Fault> {
        let (sent, asked) = (Timestamp::now(), Instant::now());
        let answer = self.get_unversioned("/_ping", LARGEST_ANSWER).await?;
        let headers = answer.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Ping {
            api: text("api-version").parse().ok(),
            server: text(SERVER.as_str()).to_owned(),
            clock: Clock::new(sent, asked, headers, self.address()),
        })
    }

    /// Whether the engine answers at all, be it with a refusal.
    pub(super) async fn is_alive(&self) -> Result<(), Fault> {
        match self.get_unversioned("/_ping", LARGEST_ANSWER).await {
            Ok(_) | Err(Fault::Status { .. }) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    async fn version(&self) -> Result<Version, Fault> {
        let said = timeout(VERSION_LIMIT, self.docker.version())
            .await
            .map_err(|_| Fault::Timeout { what: "`/version`".to_owned(), limit: VERSION_LIMIT })?
            .map_err(|error| fault_of("/version", error))?;
        let newest = said.api_version.and_then(|version| version.parse().ok());
        if newest.is_none() {
            return Err(Fault::Answer { path: "/version".to_owned(), reason: "no `ApiVersion` in it".to_owned() });
        }
        let parts = said.components.unwrap_or_default();
        let podman = parts.iter().any(|part| part.name.contains("Podman"));
        Ok(Version {
            product: if podman { "Podman" } else { "Docker" }.to_owned(),
            version: said.version.unwrap_or_default(),
            newest,
            oldest: said.min_api_version.and_then(|version| version.parse().ok()),
        })
    }
}

/// Product and version of a `Server` header: `Docker/20.10.24 (linux)`, `Libpod/4.3.1 (linux)`.
fn server(header: &str) -> (&str, &str) {
    let first = header.split_whitespace().next().unwrap_or_default();
    let (product, version) = first.split_once('/').unwrap_or((first, ""));
    match product {
        "" => ("an engine", version),
        "Libpod" => ("Podman", version),
        product => (product, version),
    }
}

/// What an error of bollard means: our own fault where it came from our transport.
pub(super) fn fault_of(path: &str, error: bollard::errors::Error) -> Fault {
    use bollard::errors::Error;
    match error {
        Error::IOError { err } => match err.into_inner().map(|inner| inner.downcast::<Fault>()) {
            Some(Ok(fault)) => *fault,
            Some(Err(other)) => Fault::Broken(quoted(&other)),
            None => Fault::Broken("the connection failed".to_owned()),
        },
        Error::DockerResponseServerError { status_code, message: text } => {
            let status = StatusCode::from_u16(status_code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Fault::Status { status: status_code, path: path.to_owned(), message: message(status, &text) }
        }
        Error::HyperResponseError { err } => super::transport::fault_of(err),
        Error::RequestTimeoutError => Fault::Timeout { what: format!("`{path}`"), limit: ANSWER_LIMIT },
        other => Fault::Answer { path: path.to_owned(), reason: quoted(&other) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, date.parse().unwrap())])
    }

    fn clock(date: &str, address: &Address) -> Timestamp {
        let sent = "2026-03-01T12:00:00.5Z".parse().unwrap();
        Clock::new(sent, Instant::now(), &headers(date), address).at
    }

    #[test]
    fn on_a_unix_socket_the_engine_has_our_clock_unless_its_date_says_otherwise() {
        let socket = Address::Unix("/run/docker.sock".into());
        assert_eq!(clock("Sun, 01 Mar 2026 12:00:00 GMT", &socket).to_string(), "2026-03-01T12:00:00.5Z");
        assert_eq!(clock("Sun, 01 Mar 2026 12:00:01 GMT", &socket).to_string(), "2026-03-01T12:00:00.5Z");
        assert_eq!(clock("Sun, 01 Mar 2026 11:00:00 GMT", &socket).to_string(), "2026-03-01T11:00:00Z");
        assert_eq!(clock("never", &socket).to_string(), "2026-03-01T12:00:00.5Z");
    }

    #[test]
    fn over_tcp_the_date_of_the_engine_is_its_time() {
        let remote = Address::Tcp { host: "web-1".to_owned(), port: 2375 };
        assert_eq!(clock("Sun, 01 Mar 2026 12:00:00 GMT", &remote).to_string(), "2026-03-01T12:00:00Z");
        assert_eq!(clock("", &remote).to_string(), "2026-03-01T12:00:00.5Z");
    }

    #[test]
    fn the_server_header_names_the_product_where_nothing_else_does() {
        assert_eq!(server("Docker/20.10.24 (linux)"), ("Docker", "20.10.24"));
        assert_eq!(server("Libpod/4.3.1 (linux)"), ("Podman", "4.3.1"));
        assert_eq!(server(""), ("an engine", ""));
    }
}
