//! The HTTP side of the scripted engine.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, DATE, SERVER};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Shared, State, Stream};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Where connections come from.
pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
}

/// Serves until it is aborted; every connection dies with it.
pub(super) async fn serve(listener: Listener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let shared = Arc::clone(&shared);
        match &listener {
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await.expect("accept");
                connections.spawn(connection(stream, shared));
            }
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await.expect("accept");
                connections.spawn(connection(stream, shared));
            }
            Listener::Tls(listener, acceptor) => {
                let (stream, _) = listener.accept().await.expect("accept");
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, shared).await;
                    }
                });
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&request, &shared).await) }
    });
    // A client that goes away is not the engine's mistake.
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Body> {
    let uri = request.uri();
    let asked = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let (version, path) = split_version(uri.path());
    shared.requests.send_modify(|requests| requests.push(asked));
    let stalled = shared.state.lock().expect("state").stalled;
    if stalled {
        std::future::pending::<()>().await;
    }
    let mut response = {
        let mut state = shared.state.lock().expect("state");
        let refusal = state.refusals.get(path).cloned();
        match (version.and_then(|version| state.check(version)), refusal) {
            (_, Some((status, body))) => respond(status, body),
            (Some(message), None) => respond(400, json!({ "message": message }).to_string()),
            (None, None) => route(path, uri.query().unwrap_or_default(), &mut state),
        }
    };
    let state = shared.state.lock().expect("state");
    let headers = response.headers_mut();
    if state.headers {
        headers.insert("api-version", state.api.1.parse().expect("a header"));
        headers.insert(SERVER, state.server.parse().expect("a header"));
    }
    let date = state.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    headers.insert(DATE, date.parse().expect("a header"));
    drop(state);
    shared.subscribed.send_modify(|count| {
        if path == "/events" && response.status() == 200 {
            *count += 1;
        }
    });
    response
}

fn split_version(path: &str) -> (Option<&str>, &str) {
    match path.strip_prefix("/v1.").and_then(|rest| rest.find('/')) {
        Some(end) => (path.get(2..4 + end), &path[4 + end..]),
        None => (None, path),
    }
}

fn respond(status: u16, body: String) -> Response<Body> {
    let body = Full::new(Bytes::from(body)).boxed_unsync();
    Response::builder().status(status).body(body).expect("a response")
}

fn route(path: &str, query: &str, state: &mut State) -> Response<Body> {
    let (min, max) = &state.api;
    match path {
        "/_ping" => respond(200, "OK".to_owned()),
        "/version" => respond(
            200,
            json!({"Components": [{"Name": state.component, "Version": "1.2.3"}], "Version": "1.2.3", "ApiVersion": max,
                "MinAPIVersion": min, "Os": "linux", "Arch": "amd64"})
            .to_string(),
        ),
        "/events" => events(query, state),
        "/containers/json" => {
            let listed: Vec<_> = state.containers.keys().map(|id| json!({"Id": id})).collect();
            respond(200, json!(listed).to_string())
        }
        _ => match path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix("/json")) {
            Some(id) => match state.containers.get(id) {
                Some(body) => respond(200, body.clone()),
                None => respond(404, json!({"message": format!("No such container: {id}")}).to_string()),
            },
            None => respond(404, json!({"message": "page not found"}).to_string()),
        },
    }
}

fn events(query: &str, state: &mut State) -> Response<Body> {
    let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let mut bounds = [None, None];
    for (bound, name) in bounds.iter_mut().zip(["since", "until"]) {
        if let Some(text) = field(name) {
            match unix_nanos(text) {
                Some(nanos) => *bound = Some(nanos),
                None => {
                    let message = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
                    return respond(500, json!({ "message": message }).to_string());
                }
            }
        }
    }
    let [since, until] = bounds;
    let now = i64::try_from(state.now().as_nanosecond()).expect("a time before 2262");
    let (chunks, receiver) = unbounded_channel();
    let stream = Stream { chunks, waiting: Arc::default() };
    let waiting = Arc::clone(&stream.waiting);
    if since.is_some() || until.is_some() {
        // As in moby: from the newest back to the first that is too old.
        let fits = |time: &i64| since.is_none_or(|since| *time >= since);
        let newest_first = state.ring.iter().rev().take_while(|(time, _)| fits(time));
        let mut lines: Vec<_> = newest_first.filter(|(time, _)| until.is_none_or(|until| *time <= until)).collect();
        lines.reverse();
        for (_, line) in lines {
            stream.send(line.clone());
        }
    }
    let left = until.map(|until| until - now);
    if left.is_none_or(|left| left > 0) || !state.closes {
        state.streams.push(stream);
    }
    let closes_after = left.filter(|_| state.closes).map(|left| Duration::from_nanos(left.max(0).cast_unsigned()));
    let body =
        StreamBody::new(unfold((receiver, waiting, closes_after.map(|left| tokio::time::Instant::now() + left)), next));
    let body = body.boxed_unsync();
    Response::builder().header(CONTENT_TYPE, "application/json").body(body).expect("a response")
}

type Source = (UnboundedReceiver<Bytes>, Arc<AtomicUsize>, Option<tokio::time::Instant>);

async fn next((mut receiver, waiting, end): Source) -> Option<(Result<Frame<Bytes>, Infallible>, Source)> {
    let chunk = match end {
        None => receiver.recv().await,
        Some(end) => tokio::time::timeout_at(end, receiver.recv()).await.unwrap_or_default(),
    };
    let chunk = chunk?;
    waiting.fetch_sub(1, Ordering::SeqCst);
    Some((Ok(Frame::data(chunk)), (receiver, waiting, end)))
}

fn unix_nanos(text: &str) -> Option<i64> {
    let (seconds, nanos) = text.split_once('.').unwrap_or((text, "0"));
    let nanos = format!("{nanos:0<9}").parse::<i64>().ok()?;
    Some(seconds.parse::<i64>().ok()? * 1_000_000_000 + nanos)
}

impl State {
    /// What an engine says to a version that it does not serve.
    fn check(&self, version: &str) -> Option<String> {
        let minor = |version: &str| version.split('.').nth(1).and_then(|minor| minor.parse::<u16>().ok()).unwrap_or(0);
        let (min, max) = &self.api;
        if minor(version) < minor(min) {
            return Some(format!(
                "client version {version} is too old. Minimum supported API version is {min}, please upgrade your client to \
                 a newer version"
            ));
        }
        (minor(version) > minor(max))
            .then(|| format!("client version {version} is too new. Maximum supported API version is {max}"))
    }

    /// The time by the engine's own clock.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now().checked_add(self.clock_ahead).expect("a time")
    }
}

/// The shared state, and what tests wait for.
impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            subscribed: tokio::sync::watch::Sender::new(0),
            requests: tokio::sync::watch::Sender::new(Vec::new()),
        }
    }
}

/// No difference between the clocks.
pub(super) const SAME_CLOCK: SignedDuration = SignedDuration::ZERO;
