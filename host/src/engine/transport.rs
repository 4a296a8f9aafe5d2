//! The connection to an engine: HTTP/1.1 over a unix socket, TCP or TLS. It serves bollard and the reader of events.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::body::{Stream, drive};
use super::error::{Fault, TlsFault, quoted};
use super::limited::Limited;
use super::tls;
use crate::config::EngineConfig;

/// How long a connection may take to be made, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A TCP connection that is quiet for this long is asked for a sign of life by the kernel, ...
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// ... then every so often ...
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// ... and given up after so many that stay unanswered: a dead link is found within 50 s.
const KEEPALIVE_COUNT: u32 = 4;

/// Both directions of a connection, whatever it runs over.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Debug + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Duplex for T {}

pub(super) type Io = TokioIo<Limited<Box<dyn Duplex>>>;

/// Makes connections to one engine.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    address: Address,
    tls: Option<Arc<ClientConfig>>,
}

impl Transport {
    /// Reads the certificate files, if any; connects to nothing yet.
    pub(super) fn new(config: &EngineConfig) -> Result<Self, Fault> {
        let tls = match (&config.host, &config.tls) {
            (crate::config::Host::Tcp { .. }, Some(files)) => Some(tls::client(files)?),
            _ => None,
        };
        Ok(Self { address: Address::of(config), tls })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a GET on a connection of its own, on which at most `limit` bytes are read. The body comes as the engine's chunks,
    /// and reading it drives the connection: no task in between, so that all that has arrived is there at once.
    pub(super) async fn get(&self, path: &str, limit: u64) -> Result<Response<Stream>, Fault> {
        let request = Request::get(path)
            .body(Empty::<Bytes>::new())
            .map_err(|error| Fault::Unreachable(format!("`{path}`: {error}")))?;
        let (mut sender, connection) = self.open(path, limit).await?;
        let mut connection = Some(Box::pin(connection));
        let answer = drive(&mut connection, sender.send_request(self.addressed(request)?)).await.map_err(fault_of)?;
        Ok(answer.map(|body| Stream::new(body, connection)))
    }

    /// Sends any request on a connection of its own, on which at most `limit` bytes are read. A task drives it until the body
    /// of the answer is read or dropped.
    pub(super) async fn send<B>(&self, request: Request<B>, limit: u64) -> Result<Response<Incoming>, Fault>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let (mut sender, connection) = self.open(request.uri().path(), limit).await?;
        // What goes wrong with the connection is told by the answer or its body.
        tokio::spawn(async move { connection.await.ok() });
        sender.send_request(self.addressed(request)?).await.map_err(fault_of)
    }

    async fn open<B>(&self, path: &str, limit: u64) -> Result<(SendRequest<B>, Connection<Io, B>), Fault>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let io = timeout(CONNECT_LIMIT, self.connect())
            .await
            .map_err(|_| Fault::Timeout { what: "the attempt to connect".to_owned(), limit: CONNECT_LIMIT })??;
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let io = Limited::new(io, limit, Fault::TooLarge { path, limit });
        http1::handshake(TokioIo::new(io)).await.map_err(fault_of)
    }

    async fn connect(&self) -> Result<Box<dyn Duplex>, Fault> {
        match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| unix_fault(path, &error))?;
                Ok(Box::new(stream))
            }
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| io_fault(&error))?;
                keep_alive(&stream).map_err(|error| io_fault(&error))?;
                let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
                let name = ServerName::try_from(host.clone())
                    .map_err(|error| Fault::Tls(TlsFault::other(format!("`{host}`: {error}"))))?;
                let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
                Ok(Box::new(stream.map_err(|error| handshake_fault(&error))?))
            }
        }
    }

    /// The request as a server wants it: the path alone, and the `Host` header.
    fn addressed<B>(&self, mut request: Request<B>) -> Result<Request<B>, Fault> {
        let unusable = |error: &dyn std::fmt::Display| Fault::Unreachable(error.to_string());
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>().map_err(|error| unusable(&error))?;
        let authority = HeaderValue::try_from(self.address.authority()).map_err(|error| unusable(&error))?;
        request.headers_mut().insert(HOST, authority);
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(concat!("dockbell/", env!("CARGO_PKG_VERSION"))));
        Ok(request)
    }
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_COUNT)?;
    Ok(())
}

fn unix_fault(path: &Path, error: &io::Error) -> Fault {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let kind = path.metadata().map(|file| file.file_type()).ok().filter(|kind| !kind.is_socket());
    match error.kind() {
        // What `connect` says of any other file.
        io::ErrorKind::ConnectionRefused if kind.is_some() => {
            let what = if kind.is_some_and(|kind| kind.is_dir()) { "a directory" } else { "a file" };
            Fault::NotASocket { path: path.to_owned(), what }
        }
        io::ErrorKind::NotFound => Fault::NoSocket(path.to_owned()),
        io::ErrorKind::PermissionDenied => {
            Fault::Denied { socket: path.to_owned(), group: path.metadata().ok().map(|file| file.gid()) }
        }
        _ => io_fault(error),
    }
}

fn io_fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fault::Refused,
        _ => Fault::Unreachable(error.to_string()),
    }
}

fn handshake_fault(error: &io::Error) -> Fault {
    Fault::Tls(match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => TlsFault::of(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            TlsFault::other("the connection was closed in the handshake")
        }
        None => TlsFault::other(quoted(error)),
    })
}

/// What an error of the HTTP client means.
pub(super) fn fault_of(error: hyper::Error) -> Fault {
    let mut closed = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            // Read beyond the limit.
            if let Some(fault) = io.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
                return fault.clone();
            }
            // TLS 1.3 tells after the handshake that it does not like the client's certificate.
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return Fault::Tls(TlsFault::of(tls));
            }
            closed |= io.kind() == io::ErrorKind::UnexpectedEof;
        }
        source = cause.source();
    }
    if error.is_parse_too_large() {
        return Fault::NotAnEngine(
            "the head of its answer has more headers, or longer ones, than any engine's".to_owned(),
        );
    }
    if error.is_parse() {
        return Fault::NotAnEngine("the answer is not HTTP".to_owned());
    }
    if closed {
        return Fault::Broken("the other side closed it in the middle of an answer".to_owned());
    }
    Fault::Broken(std::error::Error::source(&error).map_or_else(|| quoted(&error), quoted))
}
