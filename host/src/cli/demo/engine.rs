//! A recording, served on a unix socket as an engine serves its events.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixListener;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// What the engine of the recording says of itself.
const VERSION: &str = r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#;
const API_VERSION: &str = "1.41";

/// A recording that is being played.
#[derive(Debug)]
pub(super) struct Playing {
    finished: CancellationToken,
}

impl Playing {
    /// Waits until the last event was sent.
    pub(super) async fn finished(&self) {
        self.finished.cancelled().await;
    }
}

type Line = (Duration, Bytes);

/// Serves a recording on a socket; it begins when somebody asks for events, `speed` times as fast as it happened.
pub(super) fn play(socket: &Path, recording: &str, speed: u32) -> anyhow::Result<Playing> {
    let listener = UnixListener::bind(socket).with_context(|| format!("cannot listen on `{}`", socket.display()))?;
    let lines = Arc::new(schedule(recording, speed)?);
    let finished = CancellationToken::new();
    let playing = Playing { finished: finished.clone() };
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (lines, finished) = (Arc::clone(&lines), finished.clone());
            let answer = service_fn(move |request| {
                let answer = answer(&request, &lines, &finished);
                async move { answer }
            });
            let serve = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), answer);
            // A connection that breaks is its client's business.
            tokio::spawn(async move { drop(serve.await) });
        }
    });
    Ok(playing)
}

/// When each line is due after the first.
fn schedule(recording: &str, speed: u32) -> anyhow::Result<Vec<Line>> {
    #[derive(Deserialize)]
    struct Time {
        #[serde(rename = "timeNano")]
        nanos: u64,
    }
    let mut first = None;
    recording
        .lines()
        .map(|line| {
            let time: Time = serde_json::from_str(line).context("the recording has a line that is no event")?;
            let since = time.nanos.saturating_sub(*first.get_or_insert(time.nanos));
            Ok((Duration::from_nanos(since) / speed, Bytes::from(format!("{line}\n"))))
        })
        .collect()
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

fn answer(
    request: &Request<Incoming>,
    lines: &Arc<Vec<Line>>,
    finished: &CancellationToken,
) -> hyper::http::Result<Answer> {
    let path = request.uri().path();
    let path = path.strip_prefix(&format!("/v{API_VERSION}")).unwrap_or(path);
    let (status, body) = match path {
        "/_ping" => (StatusCode::OK, Full::from("OK").boxed()),
        "/version" => (StatusCode::OK, Full::from(VERSION).boxed()),
        "/events" => (StatusCode::OK, events(Arc::clone(lines), finished.clone())),
        _ => (StatusCode::NOT_FOUND, Full::from(r#"{"message":"a recording knows only events"}"#).boxed()),
    };
    Response::builder()
        .status(status)
        .header("Api-Version", API_VERSION)
        .header(CONTENT_TYPE, "application/json")
        .body(body)
}

/// Each line at its time; then silence, as of an engine where nothing happens.
fn events(lines: Arc<Vec<Line>>, finished: CancellationToken) -> BoxBody<Bytes, Infallible> {
    let begin = Instant::now();
    let played = stream::iter(0..lines.len()).then(move |number| {
        let (after, line) = lines[number].clone();
        async move {
            sleep_until(begin + after).await;
            Ok(Frame::data(line))
        }
    });
    let silence = stream::once(async move {
        finished.cancel();
        std::future::pending().await
    });
    BodyExt::boxed(StreamBody::new(played.chain(silence)))
}
