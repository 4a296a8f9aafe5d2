//! Requests of plugins to the web: which are let out, and how many. What sends them is the caller's of this module.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::log::Voice;
use super::sandbox::Sandbox;
use super::v0_1::logging::Level;
use crate::config::{HttpUrl, Origin, Reached, Server};

/// Requests that a plugin may begin in one call.
const PER_CALL: u32 = 16;
/// Requests of one instance that may be under way, or whose answers it holds.
const AT_ONCE: usize = 16;
/// Bytes of the body of a request: 1 MiB. It is held in dockbell's memory.
const MOST_BODY: usize = 1 << 20;

/// A request that a plugin is granted.
#[derive(Debug)]
pub struct Outgoing {
    /// Where to.
    pub url: HttpUrl,
    /// Which addresses the name may lead to.
    pub reached: Reached,
    /// `GET` and the like.
    pub method: Method,
    /// Without those that belong to the connection.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Incoming {
    /// The status; a redirect is an answer like any other.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// The name leads to an address that is not granted.
    Address,
    /// The server cannot be connected to.
    Connect,
    /// TLS does not come about, such as with a certificate that nobody knows.
    Tls,
    /// It took too long.
    Late,
    /// The connection ended, or what came is no answer.
    Broken,
    /// The body of the answer is too large.
    TooLarge,
}

/// An answer, some time from now.
pub type Sending = Pin<Box<dyn Future<Output = Result<Incoming, NoAnswer>> + Send>>;

/// What sends the requests of plugins: follows no redirect, and connects to no address that is not granted.
pub trait SendRequest: fmt::Debug + Send + Sync {
    /// Sends a request and reads its answer. What went wrong belongs into the log.
    fn send(&self, plugin: &str, request: Outgoing) -> Sending;
}

/// What one instance may send.
pub(super) struct Web {
    plugin: Arc<str>,
    voice: Voice,
    servers: Arc<[Server]>,
    sender: Option<Arc<dyn SendRequest>>,
    begun: u32,
    room: Arc<Semaphore>,
}

impl Web {
    pub(super) fn new(
        plugin: Arc<str>,
        voice: Voice,
        servers: Arc<[Server]>,
        sender: Option<Arc<dyn SendRequest>>,
    ) -> Self {
        Self { plugin, voice, servers, sender, begun: 0, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A call has ended: the next one may begin requests again.
    pub(super) const fn end_call(&mut self) {
        self.begun = 0;
    }

    /// Looks whether a request may go out.
    fn admit(
        &mut self,
        uri: &hyper::Uri,
    ) -> Result<(Arc<dyn SendRequest>, HttpUrl, Reached, OwnedSemaphorePermit), Error> {
        let url: HttpUrl = uri.to_string().parse().map_err(|_| Error::HttpRequestUriInvalid)?;
        let origin = Origin::of(&url);
        let server = self.servers.iter().find(|server| server.origin == origin && url.authorization().is_none());
        let Some(server) = server else {
            self.voice.say(Level::Warn, &format!("it may not ask {origin}: `http` in its table does not name that"));
            return Err(Error::HttpRequestDenied);
        };
        let Some(sender) = &self.sender else {
            self.voice.say(Level::Warn, "here no requests are sent");
            return Err(Error::HttpRequestDenied);
        };
        if self.begun >= PER_CALL {
            self.voice.say(Level::Warn, &format!("it may not make more than {PER_CALL} requests in a call"));
            return Err(Error::HttpRequestDenied);
        }
        let permit = Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            self.voice.say(Level::Warn, &format!("it may not make more than {AT_ONCE} requests at once"));
            Error::ConnectionLimitReached
        })?;
        self.begun += 1;
        Ok((Arc::clone(sender), url, server.reached(), permit))
    }
}

/// What [`WasiHttpHooks::send_request`] answers.
type Answering = Box<dyn Future<Output = Result<(Response<WasiBody>, Rest), Error>> + Send>;
/// What is left to do after an answer has begun.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Web {
    fn send_request(&mut self, request: Request<WasiBody>, _: Option<RequestOptions>, _: Rest) -> Answering {
        // What a proxy is asked for: the server that answered would not be the one that is granted.
        let is_tunnel = request.method() == Method::CONNECT;
        let admitted = if is_tunnel { Err(Error::HttpRequestMethodInvalid) } else { self.admit(request.uri()) };
        let plugin = Arc::clone(&self.plugin);
        Box::new(async move {
            let (sender, url, reached, permit) = admitted?;
            let (mut head, body) = request.into_parts();
            // The sender makes it of the URL.
            head.headers.remove(HOST);
            let body = Limited::new(body, MOST_BODY).collect().await;
            let body = body.map_err(|_| Error::HttpRequestBodySize(Some(MOST_BODY as u64)))?.to_bytes();
            let request = Outgoing { url, reached, method: head.method, headers: head.headers, body };
            let answer = sender.send(&plugin, request).await.map_err(NoAnswer::for_guest)?;
            let body = Held { body: Full::new(answer.body), _permit: permit };
            let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok((response, Box::new(async { Ok(()) }) as Rest))
        })
    }

    /// What went wrong is in the log already.
    fn p2_error_from_hyper(&mut self, _: &hyper::Error) -> wasmtime_wasi_http::p2::bindings::http::types::ErrorCode {
        wasmtime_wasi_http::p2::bindings::http::types::ErrorCode::HttpProtocolError
    }
}

impl NoAnswer {
    /// In the words of wasi:http.
    fn for_guest(self) -> Error {
        match self {
            Self::Address => Error::DestinationIpProhibited,
            Self::Connect => Error::DestinationUnavailable,
            Self::Tls => Error::TlsProtocolError,
            Self::Late => Error::ConnectionTimeout,
            Self::Broken => Error::HttpProtocolError,
            Self::TooLarge => Error::HttpResponseBodySize(None),
        }
    }
}

/// A body that counts as long as somebody holds it.
struct Held {
    body: Full<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl Body for Held {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl WasiHttpView for Sandbox {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.web, table: &mut self.resources, ctx: &mut self.http }
    }
}
