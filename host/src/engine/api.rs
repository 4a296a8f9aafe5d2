//! Requests to one engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bollard::{BollardRequest, Docker};
use bytes::Bytes;
use hyper::{Response, StatusCode, Uri};
use tokio::time::timeout;

use super::address::Address;
use super::body::Stream;
use super::error::{EngineError, Fault, quoted};
use super::transport::Transport;
use super::version::ApiVersion;
use crate::config::EngineConfig;

/// How long the head of an answer may take. Engines send it at once, that of `/events` too.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of an answer about the engine itself or about one container, as they come over the wire. Docker's `/info` has
/// about 10 KiB, an inspect 5 to 20 KiB and whatever labels there are.
pub(super) const LARGEST_ANSWER: u64 = 1 << 20;
/// How much of an error's text is read.
const ERROR_BODY: usize = 16 * 1024;

/// One engine that dockbell watches. Cheap to clone; each request makes a connection of its own.
#[derive(Debug, Clone)]
pub struct Engine {
    name: Arc<str>,
    pub(super) transport: Arc<Transport>,
    pub(super) docker: Docker,
    spoken: Arc<Spoken>,
}

impl Engine {
    /// Makes ready to speak to an engine: certificate files are read, nothing is connected.
    ///
    /// # Errors
    /// [`Fault::Certificate`], [`Fault::NoAuthorities`] or [`Fault::Tls`] when the files cannot be used.
    pub fn new(name: Arc<str>, config: &EngineConfig) -> Result<Self, EngineError> {
        let transport = Transport::new(config).map_err(|fault| EngineError {
            engine: Arc::clone(&name),
            address: Address::of(config),
            fault,
        })?;
        let transport = Arc::new(transport);
        let spoken = Arc::new(Spoken::default());
        let docker = bollard(Arc::clone(&transport), Arc::clone(&spoken)).map_err(|fault| EngineError {
            engine: Arc::clone(&name),
            address: Address::of(config),
            fault,
        })?;
        Ok(Self { name, transport, docker, spoken })
    }

    /// Its configured name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.transport.address()
    }

    pub(super) fn error(&self, fault: Fault) -> EngineError {
        EngineError { engine: Arc::clone(&self.name), address: self.address().clone(), fault }
    }

    /// From now on requests name this version; none means that they name none. Returns whether it was another before.
    pub(super) fn speak(&self, version: Option<ApiVersion>) -> bool {
        self.spoken.set(version)
    }

    /// Asks for a path under the spoken version and waits for the head of the answer. Its body may go on for ever.
    pub(super) async fn get(&self, path: &str) -> Result<Response<Stream>, Fault> {
        self.get_at_most(path, u64::MAX).await
    }

    /// The same for an answer of which at most `limit` bytes are read; reading more fails with [`Fault::TooLarge`].
    pub(super) async fn get_at_most(&self, path: &str, limit: u64) -> Result<Response<Stream>, Fault> {
        self.get_unversioned(&self.spoken.prefixed(path), limit).await
    }

    /// Reads the whole answer to a path under the spoken version, which has at most `limit` bytes. How long that may take is
    /// up to the caller: only the head has a limit of its own.
    pub(super) async fn read(&self, path: &str, limit: u64) -> Result<Bytes, Fault> {
        self.get_at_most(path, limit).await?.into_body().whole().await
    }

    pub(super) async fn get_unversioned(&self, path: &str, limit: u64) -> Result<Response<Stream>, Fault> {
        let answer = timeout(ANSWER_LIMIT, async {
            let answer = self.transport.get(path, limit).await?;
            if answer.status() == StatusCode::OK { Ok(answer) } else { Err(status_fault(path, answer).await) }
        });
        let path = path.split('?').next().unwrap_or_default();
        answer.await.map_err(|_| Fault::Timeout { what: format!("`{path}`"), limit: ANSWER_LIMIT })?
    }
}

async fn status_fault(path: &str, answer: Response<Stream>) -> Fault {
    let status = answer.status();
    let body = answer.into_body().start(ERROR_BODY).await;
    let text = String::from_utf8_lossy(&body);
    Fault::Status {
        status: status.as_u16(),
        path: path.split('?').next().unwrap_or_default().to_owned(),
        message: message(status, &text),
    }
}

/// What an error says: the engine's `message`, else the first line of its text, else the name of the status.
pub(super) fn message(status: StatusCode, body: &str) -> String {
    let said = serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|value| value.get("message").and_then(|text| text.as_str().map(ToOwned::to_owned)));
    let text = said.as_deref().unwrap_or(body).trim().lines().next().unwrap_or_default();
    if text.is_empty() || text.starts_with('<') {
        return status.canonical_reason().unwrap_or("no reason given").to_owned();
    }
    quoted(&text)
}

/// bollard over our transport. It is asked only for what fits into [`LARGEST_ANSWER`], and reads whole bodies itself.
fn bollard(transport: Arc<Transport>, spoken: Arc<Spoken>) -> Result<Docker, Fault> {
    let send = move |mut request: BollardRequest| {
        let (transport, spoken) = (Arc::clone(&transport), Arc::clone(&spoken));
        async move {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            *request.uri_mut() = spoken.prefixed(path).parse::<Uri>()?;
            // The way back is `describe::fault_of`.
            transport.send(request, LARGEST_ANSWER).await.map_err(|fault| std::io::Error::other(fault).into())
        }
    };
    let limit = ANSWER_LIMIT.as_secs();
    Docker::connect_with_custom_transport(send, Some("http://localhost"), limit, bollard::API_DEFAULT_VERSION)
        .map_err(|error| Fault::Unreachable(error.to_string()))
}

/// The version that the engine and dockbell agreed on; 0 where there is none.
#[derive(Debug, Default)]
struct Spoken(AtomicU32);

impl Spoken {
    fn set(&self, version: Option<ApiVersion>) -> bool {
        let packed = version.map_or(0, |version| u32::from(version.major) << 16 | u32::from(version.minor));
        self.0.swap(packed, Ordering::Relaxed) != packed
    }

    fn get(&self) -> Option<ApiVersion> {
        let packed = self.0.load(Ordering::Relaxed);
        let half = |bits: u32| u16::try_from(bits & 0xffff).unwrap_or_default();
        (packed != 0).then(|| ApiVersion { major: half(packed >> 16), minor: half(packed) })
    }

    /// A path with our version before it, whatever version it had: bollard 0.21.1 means to add its own newest one and by
    /// accident adds none, so its path may come either way.
    fn prefixed(&self, path: &str) -> String {
        let bare = without_version(path);
        match self.get() {
            // Asked before a version is agreed on, so never with one.
            _ if bare.starts_with("/version") || bare.starts_with("/_ping") => bare.to_owned(),
            Some(version) => format!("/v{version}{bare}"),
            None => bare.to_owned(),
        }
    }
}

fn without_version(path: &str) -> &str {
    let rest = path.strip_prefix("/v").unwrap_or_default();
    match rest.find('/') {
        Some(end) if rest[..end].parse::<ApiVersion>().is_ok() => &rest[end..],
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gets_the_spoken_version_and_only_that() {
        let spoken = Spoken::default();
        assert_eq!(spoken.prefixed("/v1.53/containers/a/json"), "/containers/a/json");
        spoken.set(Some(ApiVersion { major: 1, minor: 41 }));
        assert_eq!(spoken.prefixed("/v1.53/containers/a/json?size=1"), "/v1.41/containers/a/json?size=1");
        assert_eq!(spoken.prefixed("/events"), "/v1.41/events");
        assert_eq!(spoken.prefixed("/version"), "/version");
        assert_eq!(spoken.prefixed("/v1.53/version"), "/version");
        assert_eq!(spoken.prefixed("/volumes"), "/v1.41/volumes");
    }

    #[test]
    fn an_error_says_what_the_engine_said() {
        let bad = StatusCode::BAD_REQUEST;
        assert_eq!(message(bad, r#"{"message":"client version 1.53 is too new"}"#), "client version 1.53 is too new");
        assert_eq!(message(bad, "Client sent an HTTP request.\nmore"), "Client sent an HTTP request.");
        assert_eq!(message(StatusCode::FORBIDDEN, "<html><body>403</body></html>"), "Forbidden");
        assert_eq!(message(StatusCode::FORBIDDEN, ""), "Forbidden");
    }
}
