//! An OCI registry on this machine: a real HTTP server with manifests and blobs, that can be made to misbehave.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::once;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA256, digest};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The token that it gives out and wants to see.
const TOKEN: &str = "a-token-of-the-registry";

/// A registry; it ends when it is dropped.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    address: String,
    /// By path.
    content: BTreeMap<String, Bytes>,
    wants_token: bool,
    /// Gives a token only to whoever shows this.
    login: Option<String>,
    /// Where blobs are.
    blobs_at: Option<String>,
    /// After so many bytes of a blob the connection ends.
    cut_at: Option<usize>,
    asked: Vec<Asked>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Path and query.
    pub path: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
}

/// The SHA-256 of bytes, as a registry writes it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let hex: String = digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A manifest as `wkg` writes it.
#[must_use]
pub fn manifest(component: &[u8]) -> Vec<u8> {
    let config = br#"{"architecture":"wasm","os":"wasip2","layerDigests":[]}"#;
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json", "digest": sha256(config), "size": config.len()
        },
        "layers": [{ "mediaType": "application/wasm", "digest": sha256(component), "size": component.len() }],
    })
    .to_string()
    .into_bytes()
}

impl Registry {
    /// An empty one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { address: address.to_string(), ..State::default() }));
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// Takes a component in under a name and a tag; the answer is how a configuration names it.
    #[must_use]
    pub fn publish(&self, name: &str, tag: &str, component: &[u8]) -> String {
        self.put_manifest(name, tag, component, &manifest(component))
    }

    /// The same with any manifest.
    pub fn put_manifest(&self, name: &str, tag: &str, component: &[u8], manifest: &[u8]) -> String {
        let mut state = self.state();
        let manifest = Bytes::copy_from_slice(manifest);
        for reference in [tag, &sha256(&manifest)] {
            state.content.insert(format!("/v2/{name}/manifests/{reference}"), manifest.clone());
        }
        let blob = Bytes::copy_from_slice(component);
        state.content.insert(format!("/v2/{name}/blobs/{}", sha256(component)), blob);
        format!("oci://{}/{name}@{}", self.address, sha256(&manifest))
    }

    /// Gives other content than it has, at each path that contains `part`.
    pub fn exchange(&self, part: &str, content: &[u8]) {
        for (path, known) in &mut self.state().content {
            if path.contains(part) {
                *known = Bytes::copy_from_slice(content);
            }
        }
    }

    /// From now on whoever asks must have a token, which it gives to everybody, or to whoever shows this login.
    pub fn want_token(&self, login: Option<&str>) {
        let mut state = self.state();
        (state.wants_token, state.login) = (true, login.map(ToOwned::to_owned));
    }

    /// From now on blobs are at another place.
    pub fn keep_blobs_at(&self, origin: &str) {
        self.state().blobs_at = Some(origin.to_owned());
    }

    /// From now on the connection ends after so many bytes of a blob.
    pub fn cut_blobs_at(&self, bytes: usize) {
        self.state().cut_at = Some(bytes);
    }

    /// Such as `http://127.0.0.1:5000`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Such as `127.0.0.1:5000`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("state")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    // They end with the registry.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&state, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            // A client that goes away is no failure of the registry.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(state: &Mutex<State>, request: &Request<Incoming>) -> Response<Body> {
    let mut state = state.lock().expect("state");
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let authorization = header.map(ToOwned::to_owned);
    state.asked.push(Asked { path: path.clone(), authorization: authorization.clone() });
    if path.starts_with("/token?") {
        return match state.login == authorization {
            true => status(200, &[], json!({ "token": TOKEN }).to_string()),
            false => status(403, &[], "no"),
        };
    }
    if state.wants_token && authorization.as_deref() != Some(&format!("Bearer {TOKEN}")) {
        let ask = format!(
            "Bearer realm=\"http://{}/token\",service=\"registry\",scope=\"repository:plugins/night:pull\"",
            state.address
        );
        return status(401, &[("www-authenticate", &ask)], "{\"errors\":[]}");
    }
    let is_blob = path.contains("/blobs/");
    if let Some(elsewhere) = state.blobs_at.as_ref().filter(|_| is_blob) {
        return status(307, &[("location", &format!("{elsewhere}{path}"))], "");
    }
    let Some(content) = state.content.get(&path).cloned() else { return status(404, &[], "{\"errors\":[]}") };
    if let Some(cut) = state.cut_at.filter(|_| is_blob) {
        let length = content.len().to_string();
        let begun = once(ready(Ok(Frame::data(content.slice(..cut)))));
        // What was begun is on its way by then.
        let cut_off = once(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("cut off"))
        });
        let body = StreamBody::new(begun.chain(cut_off)).boxed_unsync();
        return Response::builder().header("content-length", length).body(body).expect("an answer");
    }
    status(200, &[], content)
}

fn status(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()).expect("an answer")
}
