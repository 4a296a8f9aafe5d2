//! The proxies that the environment names: which request goes through one, and how.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Uri, upgrade};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;

use super::connect::Stream;
use super::error::Cause;
use crate::config::{Environment, HttpUrl};

/// The proxies that the variables `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name, in capital or small letters.
///
/// The first two say it for URLs of that scheme, the third for what they leave open. Proxies are `http://` or `https://`, the
/// former being the default. A host in `NO_PROXY` is connected to without one, and so is this machine itself, as Go (and thus
/// Docker) has it. Both that and an address are compared with what is written in the URL: the proxy resolves names.
#[derive(Debug)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Intercepts all hosts but those that need no proxy.
    excepting: Matcher,
}

/// One proxy. `Display` shows no login.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    /// The variable that names it.
    pub(super) variable: &'static str,
    /// None for a value that names no usable proxy.
    pub(super) url: Option<HttpUrl>,
}

const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Proxies {
    /// Returns the proxies that an environment names.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, environment.get(name)?.to_string_lossy())))
        };
        let proxy = |names| first(names).map(|(name, value)| Proxy::new(name, &value));
        let except = first(NO).map(|(_, value)| value.into_owned()).unwrap_or_default();
        Self {
            http: proxy(HTTP).or_else(|| proxy(ALL)),
            https: proxy(HTTPS).or_else(|| proxy(ALL)),
            excepting: Matcher::builder().all("http://proxy").no(except).build(),
        }
    }

    /// Returns the proxy of the requests to a URL.
    pub(super) fn proxy(&self, url: &HttpUrl) -> Option<&Proxy> {
        let proxy = if url.is_https() { &self.https } else { &self.http }.as_ref()?;
        let host = url.host();
        let is_local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback());
        let place = format!("http://{}", url.authority());
        let is_excepted = place.parse().is_ok_and(|place: Uri| self.excepting.intercept(&place).is_none());
        (!is_local && !is_excepted).then_some(proxy)
    }
}

impl Proxy {
    fn new(variable: &'static str, value: &str) -> Self {
        let value = value.trim();
        let url = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        Self { variable, url: url.parse().ok() }
    }

    /// Returns the header that holds the login, if there is one.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let mut login = HeaderValue::try_from(self.url.as_ref()?.authorization()?).ok()?;
        login.set_sensitive(true);
        Some(login)
    }

    /// Asks the proxy on the other end of `stream` to connect to the host of `url`; what it answers is what that host sends.
    ///
    /// # Errors
    /// Fails if the proxy does not answer with 2xx, or not with HTTP.
    pub(super) async fn tunnel(
        &self,
        stream: Box<dyn Stream>,
        url: &HttpUrl,
        head_bytes: usize,
    ) -> Result<Box<dyn Stream>, Cause> {
        let unwritten = |_| Cause::Broken("the request to the proxy cannot be written".to_owned());
        let to = url.host_and_port();
        let mut request = Request::builder().method(Method::CONNECT).uri(&to).header(HOST, &to);
        if let Some(login) = self.authorization() {
            request = request.header(PROXY_AUTHORIZATION, login);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(unwritten)?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(head_bytes);
        let (mut sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| Cause::hyper(&error))?;
        let asking = async {
            let answer = sender.send_request(request).await.map_err(|error| Cause::hyper(&error))?;
            if !answer.status().is_success() {
                return Err(Cause::Proxy(answer.status()));
            }
            upgrade::on(answer).await.map_err(|error| Cause::hyper(&error))
        };
        let connection = connection.with_upgrades();
        tokio::pin!(asking, connection);
        let mut ended = false;
        loop {
            tokio::select! {
                upgraded = &mut asking => return Ok(Box::new(TokioIo::new(upgraded?))),
                // It hands the connection over when it ends.
                _ = &mut connection, if !ended => ended = true,
            }
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.url {
            Some(url) => write!(f, "{url} ({})", self.variable),
            None => write!(f, "of {}", self.variable),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn through(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let environment: Environment =
            variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        Proxies::of(&environment).proxy(&url.parse().unwrap()).map(ToString::to_string)
    }

    #[test]
    fn each_scheme_has_its_own_variable_and_all_proxy_is_for_both() {
        let both = [("https_proxy", "proxy-a:3128"), ("ALL_PROXY", "http://proxy-b:3128/")];
        assert_eq!(through(&both, "https://example.com").unwrap(), "http://proxy-a:3128 (https_proxy)");
        assert_eq!(through(&both, "http://example.com").unwrap(), "http://proxy-b:3128 (ALL_PROXY)");
        assert_eq!(through(&[("HTTPS_PROXY", "http://proxy:3128")], "http://example.com"), None);
        assert_eq!(through(&[("HTTP_PROXY", "")], "http://example.com"), None);
        assert_eq!(through(&[], "https://example.com"), None);
    }

    #[test]
    fn excepted_hosts_and_this_machine_are_connected_to_directly() {
        let variables = [("ALL_PROXY", "http://proxy:3128"), ("NO_PROXY", "example.com, 10.0.0.0/8,fd00::/8")];
        for url in [
            "https://example.com",
            "https://hooks.example.com:8443",
            "http://10.1.2.3",
            "http://[fd00::1]:80",
            "http://127.0.0.1:8080",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
            "http://localhost",
        ] {
            assert_eq!(through(&variables, url), None, "{url}");
        }
        for url in ["https://notexample.com", "http://192.168.1.1", "http://[2001:db8::1]"] {
            assert!(through(&variables, url).is_some(), "{url}");
        }
    }

    #[test]
    fn a_login_is_sent_and_not_shown() {
        let proxy = Proxy::new("HTTPS_PROXY", "http://ops:a%2Fb@proxy:3128");
        assert_eq!(proxy.authorization().unwrap(), "Basic b3BzOmEvYg==");
        assert!(!format!("{proxy} {proxy:?}").contains("a%2Fb"));
    }
}
