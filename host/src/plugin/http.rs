//! Requests of plugins to the web: which are let out, and how many. What sends them is the caller's of this module.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{
    HostOutgoingRequest as _, Method as MethodOfGuest, OutgoingRequest,
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::log::Voice;
use super::memory::{Budget, Charge};
use super::runtime::Plugin;
use super::sandbox::Sandbox;
use super::v0_1::logging::Level;
use crate::config::{HttpUrl, Origin, Reached, Server};

/// Requests that a plugin may begin in one call.
const PER_CALL: u32 = 16;
/// Requests of one instance that may be under way, or whose answers it holds.
const AT_ONCE: usize = 16;
/// Bytes of the body of a request, and of that of an answer: 1 MiB each. Both are held in dockbell's memory, and count towards
/// the plugin's `memory`.
const MOST_BODY: usize = 1 << 20;
/// Bytes of an answer that there must be room for, or no request is sent.
const LEAST_ANSWER: usize = 64 << 10;
/// Bytes of a body that wait for being read: a piece, of which wasmtime holds two.
const PIECE: usize = 8 << 10;
/// Bytes of a method, an authority and a path with its query, each: as servers take them (RFC 9110, 4.1: at least 8,000).
const MOST_TEXT: usize = 8 << 10;
/// The interface of wasmtime of which this replaces functions.
const TYPES: &str = "wasi:http/types@0.2.12";

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
    /// Most bytes of the body of the answer.
    pub most_answer: usize,
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
    room_of_all: Arc<Semaphore>,
    budget: Arc<Budget>,
}

/// A request that may go out, and the room for its answer.
struct Admitted {
    sender: Arc<dyn SendRequest>,
    url: HttpUrl,
    reached: Reached,
    permit: OwnedSemaphorePermit,
    answer: Charge,
    most_answer: usize,
}

impl Web {
    pub(super) fn new(plugin: &Plugin, voice: Voice, budget: Arc<Budget>) -> Self {
        Self {
            plugin: Arc::clone(&plugin.name),
            voice,
            servers: Arc::clone(&plugin.granted.servers),
            sender: plugin.sender.clone(),
            begun: 0,
            room: Arc::new(Semaphore::new(AT_ONCE)),
            room_of_all: Arc::clone(&plugin.shared.requests),
            budget,
        }
    }

    /// A call has ended: the next one may begin requests again.
    pub(super) const fn end_call(&mut self) {
        self.begun = 0;
    }

    /// Looks whether a request may go out.
    fn admit(&mut self, uri: &hyper::Uri) -> Result<Admitted, Error> {
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
        let most_answer = self.budget.left().min(MOST_BODY);
        let answer = Some(most_answer).filter(|most| *most >= LEAST_ANSWER).and_then(|most| self.budget.charge(most));
        let Some(answer) = answer else {
            let limit = self.budget.mebibytes();
            self.voice
                .say(Level::Warn, &format!("there is no room for an answer in its {limit} MiB of memory: `memory`"));
            return Err(Error::HttpResponseBodySize(None));
        };
        self.begun += 1;
        Ok(Admitted { sender: Arc::clone(sender), url, reached: server.reached(), permit, answer, most_answer })
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
        let (plugin, voice) = (Arc::clone(&self.plugin), self.voice.clone());
        let (budget, room_of_all) = (Arc::clone(&self.budget), Arc::clone(&self.room_of_all));
        Box::new(async move {
            let Admitted { sender, url, reached, permit, mut answer, most_answer } = admitted?;
            let (mut head, body) = request.into_parts();
            // The sender makes it of the URL.
            head.headers.remove(HOST);
            let (body, sent) = collect(body, &budget).await.inspect_err(|_| {
                let limit = budget.mebibytes();
                let most = MOST_BODY >> 20;
                voice.say(
                    Level::Warn,
                    &format!("a body of a request has more than {most} MiB, or no room in its {limit} MiB of memory"),
                );
            })?;
            // Nobody closes it.
            let under_way = room_of_all.acquire_owned().await;
            let request = Outgoing { url, reached, method: head.method, headers: head.headers, body, most_answer };
            let incoming = sender.send(&plugin, request).await.map_err(NoAnswer::for_guest)?;
            drop((under_way, sent));
            answer.shrink_to(incoming.body.len());
            let body = Held { body: Full::new(incoming.body), _permit: permit, _charge: answer };
            let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
            *response.status_mut() = incoming.status;
            *response.headers_mut() = incoming.headers;
            Ok((response, Box::new(async { Ok(()) }) as Rest))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }

    /// What went wrong is in the log already.
    fn p2_error_from_hyper(&mut self, _: &hyper::Error) -> wasmtime_wasi_http::p2::bindings::http::types::ErrorCode {
        wasmtime_wasi_http::p2::bindings::http::types::ErrorCode::HttpProtocolError
    }
}

/// Collects the body of a request, which counts as long as the charge is held.
async fn collect(mut body: WasiBody, budget: &Arc<Budget>) -> Result<(Bytes, Charge), Error> {
    let too_large = || Error::HttpRequestBodySize(Some(MOST_BODY as u64));
    let mut charge = budget.charge(0).ok_or_else(too_large)?;
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if bytes.len() + piece.len() > MOST_BODY || !charge.grow(piece.len()) {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.freeze(), charge))
}

/// Puts these functions in place of those of wasmtime, which take texts of any length.
pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store, (request, method): (Resource<OutgoingRequest>, MethodOfGuest)| match &method {
            MethodOfGuest::Other(name) if name.len() > MOST_TEXT => Ok((store.data_mut().too_long("method"),)),
            _ => Ok((store.data_mut().http().set_method(request, method)?,)),
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store, (request, text): (Resource<OutgoingRequest>, Option<String>)| match text {
            Some(text) if text.len() > MOST_TEXT => Ok((store.data_mut().too_long("authority"),)),
            text => Ok((store.data_mut().http().set_authority(request, text)?,)),
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store, (request, text): (Resource<OutgoingRequest>, Option<String>)| match text {
            Some(text) if text.len() > MOST_TEXT => Ok((store.data_mut().too_long("path"),)),
            text => Ok((store.data_mut().http().set_path_with_query(request, text)?,)),
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

impl Sandbox {
    /// Refuses a text of a request.
    fn too_long(&self, what: &str) -> Result<(), ()> {
        self.voice.say(Level::Warn, &format!("the {what} of a request has more than {MOST_TEXT} bytes"));
        Err(())
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
    _charge: Charge,
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
