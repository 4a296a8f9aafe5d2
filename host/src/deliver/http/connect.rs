//! Finds the address of a service and connects to it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::{Cause, HttpError, Stage};
use super::proxy::Proxy;
use super::{Client, address};
use crate::config::HttpUrl;
use crate::deliver::dial;

/// The addresses that were found, some time from now.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// A way to find the addresses of a host.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a host; for an address, itself. Those to which no request may go are left out by the caller.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// The system's way to find addresses.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
    }
}

/// A connection, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Client {
    /// Connects to the host of `url`, through the proxy if there is one. With a proxy and without TLS the connection is one to
    /// the proxy itself.
    pub(super) async fn connect(&self, url: &HttpUrl, proxy: Option<&Proxy>) -> Result<Box<dyn Stream>, HttpError> {
        let failed = |stage, cause| HttpError::new(url, stage, cause);
        let limits = &self.limits;
        let Some(proxy) = proxy else {
            let stream = within(limits.connect, self.dial(url)).await.map_err(|cause| failed(Stage::Connect, cause))?;
            return self.secured(url, url, stream).await;
        };
        let stream = within(limits.connect, self.dial_proxy(url, proxy));
        let (to, stream) = stream.await.map_err(|cause| failed(Stage::Connect, cause))?;
        let stream = self.secured(url, to, stream).await?;
        if !url.is_https() {
            return Ok(stream);
        }
        let tunnel = proxy.tunnel(stream, url, limits.head_bytes);
        let stream = within(limits.connect, tunnel).await.map_err(|cause| failed(Stage::Connect, cause))?;
        self.secured(url, url, stream).await
    }

    /// A connection to `to` with TLS, if its URL says so. `url` is the one that errors name.
    async fn secured(
        &self,
        url: &HttpUrl,
        to: &HttpUrl,
        stream: impl Stream + 'static,
    ) -> Result<Box<dyn Stream>, HttpError> {
        let failed = |cause| HttpError::new(url, Stage::Tls, cause);
        if !to.is_https() {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(to.host())
            .map_err(|_| failed(Cause::Io(io::ErrorKind::InvalidInput, "not a name for TLS".to_owned())))?;
        let handshake = async { self.tls.connect(name, stream).await.map_err(|error| Cause::io(&error)) };
        Ok(Box::new(within(self.limits.tls, handshake).await.map_err(failed)?))
    }

    /// Connects to a proxy. It may be anywhere, since the environment names it. It is what resolves the name in `url`, so only an
    /// address can be refused here.
    async fn dial_proxy<'a>(&self, url: &HttpUrl, proxy: &'a Proxy) -> Result<(&'a HttpUrl, TcpStream), Cause> {
        let Some(to) = &proxy.url else { return Err(Cause::NotAProxy(proxy.variable)) };
        if let Some(refused) = url.host().parse().ok().and_then(|ip| self.refusal(ip)) {
            return Err(refused);
        }
        let found = self.resolver.resolve(&to.host(), to.port()).await.map_err(|error| Cause::io(&error))?;
        let stream = dial::first(found.into_iter()).await.map_err(|error| Cause::io(&error))?;
        stream.set_nodelay(true).map_err(|error| Cause::io(&error))?;
        Ok((to, stream))
    }

    async fn dial(&self, url: &HttpUrl) -> Result<TcpStream, Cause> {
        let host = url.host();
        let found = self.resolver.resolve(&host, url.port()).await.map_err(|error| Cause::io(&error))?;
        let mut refused = None;
        let allowed: Vec<SocketAddr> = found
            .into_iter()
            .filter(|found| match self.refusal(found.ip()) {
                Some(cause) => {
                    refused = Some(cause);
                    false
                }
                None => true,
            })
            .collect();
        if allowed.is_empty()
            && let Some(refused) = refused
        {
            return Err(refused);
        }
        // Just these addresses are connected to: the name is not resolved a second time, when it could lead elsewhere.
        let stream = dial::first(allowed.into_iter()).await.map_err(|error| Cause::io(&error))?;
        let peer = stream.peer_addr().map_err(|error| Cause::io(&error))?;
        // A request is small and waits for nothing.
        stream.set_nodelay(true).map_err(|error| Cause::io(&error))?;
        self.refusal(peer.ip()).map_or(Ok(stream), Err)
    }

    fn refusal(&self, ip: IpAddr) -> Option<Cause> {
        address::refusal(ip, self.reach).map(|why| Cause::Refused { ip, why })
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
    timeout(limit, work).await.unwrap_or(Err(Cause::Late(limit)))
}
