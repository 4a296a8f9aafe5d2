//! Requests to services on the web: one at a time, each on a connection of its own.
//!
//! No redirect is followed and no proxy asked. The address is looked at after the name was resolved and before it is
//! connected to, so that no name leads to what only this machine can reach. No error shows more of a URL than its host.

mod address;
mod answer;
mod connect;
mod error;
mod exchange;
mod limits;
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

pub(super) use self::tries::Tries;

use crate::config::HttpUrl;
use crate::tls::{self, TlsError};

/// What sends requests.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
    reach: Reach,
    limits: Limits,
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
        let reach = if allow_loopback { Reach::Machine } else { Reach::Network };
        Ok(Self { tls, resolver: Arc::new(SystemResolver), reach, limits: Limits::default() })
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

    /// Sends a request and reads its answer, whatever its status.
    ///
    /// # Errors
    /// No answer; [`HttpError::is_ambiguous`] says whether the service may have got the request all the same.
    pub async fn send(&self, url: &HttpUrl, request: Request) -> Result<Answer, HttpError> {
        let deadline = Instant::now() + self.limits.whole;
        let stream = self.connect(url).await?;
        exchange::exchange(stream, url, request, deadline, &self.limits).await
    }

    /// Connects, with TLS where the URL wants it, and leaves again.
    ///
    /// # Errors
    /// What does not work.
    pub async fn reach(&self, url: &HttpUrl) -> Result<(), HttpError> {
        self.connect(url).await.map(drop)
    }
}
