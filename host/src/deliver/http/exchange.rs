//! One request and its answer on a connection.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::connect::Stream;
use super::error::{Cause, HttpError, Stage};
use super::proxy::Proxy;
use super::{Answer, Limits, Request};
use crate::config::HttpUrl;

/// How dockbell names itself to services.
const NAME: &str = concat!("dockbell/", env!("CARGO_PKG_VERSION"));

/// Sends a request and reads its answer: the head until `deadline`, then as much of the body as the limits allow. The connection
/// is the one made for `proxy`, if there is one.
pub(super) async fn exchange(
    stream: Box<dyn Stream>,
    (url, proxy): (&HttpUrl, Option<&Proxy>),
    request: Request,
    deadline: Instant,
    limits: &Limits,
) -> Result<Answer, HttpError> {
    let failed = |cause| HttpError::new(url, Stage::Answer, cause);
    let request = complete(url, proxy, request)
        .map_err(|_| HttpError::new(url, Stage::Connect, Cause::Broken("the request cannot be written".to_owned())))?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(limits.head_bytes);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| failed(Cause::hyper(&error)))?;
    let asking = async {
        let head = match timeout_at(deadline, sender.send_request(request)).await {
            Ok(Ok(head)) => head,
            Ok(Err(error)) => return Err(failed(Cause::hyper(&error))),
            Err(_) => return Err(failed(Cause::Late(limits.whole))),
        };
        let (head, body) = head.into_parts();
        let (body, is_cut) = read(body, limits).await;
        Ok(Answer { status: head.status, headers: head.headers, body, is_cut })
    };
    tokio::pin!(asking, connection);
    let mut ended = false;
    loop {
        tokio::select! {
            answer = &mut asking => return answer,
            // Bytes move while the connection is polled. That it ends is told to the request too.
            _ = &mut connection, if !ended => ended = true,
        }
    }
}

fn complete(
    url: &HttpUrl,
    proxy: Option<&Proxy>,
    request: Request,
) -> Result<hyper::Request<Full<Bytes>>, hyper::http::Error> {
    // Through TLS the proxy only passes bytes on; without it, it reads the request (RFC 9112 section 3.2.2).
    let forwarded = proxy.filter(|_| !url.is_https());
    let mut complete = hyper::Request::builder()
        .method(request.method)
        .uri(if forwarded.is_some() { url.absolute() } else { url.path_and_query() })
        .header(HOST, url.authority())
        .header(USER_AGENT, NAME)
        .header(CONNECTION, "close")
        .body(Full::new(request.body))?;
    if let Some(login) = url.authorization() {
        let mut login = HeaderValue::try_from(login)?;
        login.set_sensitive(true);
        complete.headers_mut().insert(AUTHORIZATION, login);
    }
    // What is asked for explicitly holds.
    complete.headers_mut().extend(request.headers);
    if let Some(login) = forwarded.and_then(Proxy::authorization) {
        complete.headers_mut().insert(PROXY_AUTHORIZATION, login);
    }
    Ok(complete)
}

/// The body, or its beginning, and which of the two. That the rest is missing changes nothing for a message: the status has
/// said what the service did.
async fn read(mut body: Incoming, limits: &Limits) -> (Bytes, bool) {
    let deadline = Instant::now() + limits.body;
    let mut bytes = BytesMut::new();
    let is_cut = loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(None) => break false,
            Ok(Some(Ok(frame))) => {
                let data = frame.data_ref().map_or(&[][..], |data| data);
                let room = limits.body_bytes - bytes.len();
                bytes.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    break true;
                }
            }
            Ok(Some(Err(_))) | Err(_) => break true,
        }
    };
    (bytes.freeze(), is_cut)
}
