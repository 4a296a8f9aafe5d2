//! Requests to services on the web: one at a time, each on a connection of its own.
//!
//! No redirect is followed. Sinks ask the proxy that the environment names, if it names one; registries and plugins do not.
//! The address is looked at after the name was resolved and before it is connected to, so that no name leads to what only this
//! machine can reach. A proxy resolves names itself: where they lead is left to it, and only an address in the URL is looked at.
//! No error shows more of a URL than its host.

mod address;
mod answer;
mod connect;
mod error;
mod exchange;
mod limits;
mod proxy;
mod retry_after;
mod tries;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

pub use self::address::Reach;
pub use self::connect::{Resolve, Resolving, SystemResolver};
pub use self::error::{HttpError, Kind, Stage};
pub use self::limits::Limits;
pub use self::proxy::Proxies;

use self::proxy::Proxy;
pub(super) use self::tries::Tries;

use crate::config::{Environment, HttpUrl};
use crate::tls::{self, TlsError};

/// What sends requests.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
    reach: Reach,
    limits: Limits,
    proxies: Arc<Proxies>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reach, limits, .. } = self;
        f.debug_struct("Client").field("reach", reach).field("limits", limits).finish_non_exhaustive()
    }
}

/// What is asked; its `Debug` shows no header and no body.
pub struct Request {
    /// `POST` and the like.
    pub method: Method,
    /// Headers beside those that HTTP itself needs.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What a service answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or its beginning: what came within [`Limits::body`] and [`Limits::body_bytes`].
    pub body: Bytes,
    /// Whether that is only its beginning.
    pub is_cut: bool,
}

impl Client {
    /// A client that also trusts the certificates of the file `ca`. `allow_loopback` says whether a service on this machine
    /// itself may be asked.
    ///
    /// # Errors
    /// A file of certificates that cannot be used.
    pub fn new(ca: Option<&Path>, allow_loopback: bool) -> Result<Self, TlsError> {
        let tls = TlsConnector::from(Arc::new(tls::client(ca)?));
        let proxies = Arc::new(Proxies::of(&Environment::default()));
        let reach = if allow_loopback { Reach::Machine } else { Reach::Network };
        Ok(Self { tls, resolver: Arc::new(SystemResolver), reach, limits: Limits::default(), proxies })
    }

    /// The same with other addresses that it may connect to.
    #[must_use]
    pub fn with_reach(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same with another way to find addresses.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, ..self }
    }

    /// The same with proxies; without this there are none.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        Self { proxies: Arc::new(proxies), ..self }
    }

    /// Sends a request and reads its answer, whatever its status.
    ///
    /// # Errors
    /// No answer; [`HttpError::is_ambiguous`] says whether the service may have got the request all the same.
    pub async fn send(&self, url: &HttpUrl, request: Request) -> Result<Answer, HttpError> {
        let deadline = Instant::now() + self.limits.whole;
        let proxy = self.proxies.proxy(url);
        let sent = async {
            let stream = self.connect(url, proxy).await?;
            exchange::exchange(stream, (url, proxy), request, deadline, &self.limits).await
        };
        sent.await.map_err(|error| named(error, proxy))
    }

    /// Connects, with TLS where the URL wants it, and leaves again. Returns where to, and through which proxy.
    ///
    /// # Errors
    /// What does not work.
    pub async fn reach(&self, url: &HttpUrl) -> Result<String, HttpError> {
        let proxy = self.proxies.proxy(url);
        self.connect(url, proxy).await.map_err(|error| named(error, proxy))?;
        Ok(proxy.map_or_else(|| url.to_string(), |proxy| format!("{url} through the proxy {proxy}")))
    }
}

/// Returns an error that names the proxy, if there was one.
fn named(error: HttpError, proxy: Option<&Proxy>) -> HttpError {
    match proxy {
        Some(proxy) => error.through(proxy),
        None => error,
    }
}
