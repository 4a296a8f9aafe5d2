//! The URL of a service on the web; a secret.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::problem::Mistake;

const FORMS: &str = "such as `https://hooks.example.com/services/T0/B0/XXX`";

/// A part of a host name at least this long that has digits in it is shown as `…`: some services put the secret there.
const TELLING: usize = 16;

/// Parts of a URL shorter than this are no secrets, and too short to be looked for in an answer.
const SHORT: usize = 6;

/// An `http://` or `https://` URL. `Display` and `Debug` show scheme, host and port alone: whoever knows the rest of the
/// URL of a webhook may use it.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(Url);

impl FromStr for HttpUrl {
    type Err = Mistake;

    /// No message repeats any part of the URL.
    fn from_str(text: &str) -> Result<Self, Mistake> {
        let url = Url::parse(text.trim()).map_err(|_| Mistake::new("is not a URL", FORMS))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Mistake::new("begins with neither `https://` nor `http://`", FORMS));
        }
        if url.host().is_none() || url.port() == Some(0) {
            return Err(Mistake::new("has no valid host and port", FORMS));
        }
        Ok(Self(url))
    }
}

/// One that is known to have a scheme of the web and a host.
impl From<Url> for HttpUrl {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

impl HttpUrl {
    /// What `text` leads to from here, as a redirect has it.
    ///
    /// # Errors
    /// It is no URL of the web.
    pub fn join(&self, text: &str) -> Result<Self, Mistake> {
        self.0.join(text).map_err(|_| Mistake::new("is not a URL", FORMS))?.as_str().parse()
    }

    /// Whether both are of the same scheme, host and port.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// The same with one more pair in the query.
    #[must_use]
    pub fn with_pair(mut self, name: &str, value: &str) -> Self {
        self.0.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Whether it wants TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Name or address, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> String {
        match self.0.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => String::new(),
        }
    }

    /// Port. Default 443, or 80 without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// What the header `Host` says.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Returns host and port, with the brackets of an IPv6 address: `example.com:443`.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.0.host_str().unwrap_or_default(), self.port())
    }

    /// Returns the URL as a proxy takes it: without login and fragment; secret.
    #[must_use]
    pub fn absolute(&self) -> String {
        format!("{}://{}{}", self.0.scheme(), self.authority(), self.path_and_query())
    }

    /// Path and query, which is what may be asked of the host; secret.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let path = self.0.path();
        self.0.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// What the header `Authorization` says when the URL holds a login; secret.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        if self.0.username().is_empty() && self.0.password().is_none() {
            return None;
        }
        let decoded = |part: &str| percent_decode_str(part).collect::<Vec<u8>>();
        let login = [&decoded(self.0.username())[..], b":", &decoded(self.0.password().unwrap_or_default())].concat();
        Some(format!("Basic {}", STANDARD.encode(login)))
    }

    /// The parts that nobody must see, as they stand and decoded: a service may repeat them in its answer.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let url = &self.0;
        let login = [url.username(), url.password().unwrap_or_default()];
        let parts =
            url.path().split(['/', ':', '@']).chain(url.query().unwrap_or_default().split(['&', '='])).chain(login);
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let mut parts: Vec<String> = parts.flat_map(|part| [part.to_owned(), decoded(part)]).collect();
        parts.extend(self.authorization());
        parts.retain(|part| part.len() >= SHORT);
        // The longest first, so that no part of it stays when a shorter one is in it.
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts.dedup();
        parts
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |label: &str| label.len() >= TELLING && label.contains(|c: char| c.is_ascii_digit());
        let shown = |label| if hidden(label) { "…" } else { label };
        let host = self.0.host_str().unwrap_or_default();
        let host = if matches!(self.0.host(), Some(Host::Domain(_))) {
            host.split('.').map(shown).collect::<Vec<_>>().join(".")
        } else {
            host.to_owned()
        };
        write!(f, "{}://{host}", self.0.scheme())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        for (text, shown) in [
            ("https://user:hunter2@hooks.example.com/T0/hunter2?key=hunter2#hunter2", "https://hooks.example.com"),
            ("http://10.0.0.5:8080/hunter2", "http://10.0.0.5:8080"),
            ("https://[::1]:8443/hunter2", "https://[::1]:8443"),
            ("https://eo1a2b3c4d5e6f7g8.m.pipedream.net/x", "https://….m.pipedream.net"),
        ] {
            let url: HttpUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_is_no_url_of_the_web_is_refused_without_repeating_it() {
        for text in
            ["hunter2", "file:///hunter2", "unix:///hunter2", "ftp://hunter2/", "https://", "http://x:0/hunter2", ""]
        {
            let mistake = text.parse::<HttpUrl>().unwrap_err().to_string();
            assert!(mistake.contains("hint: such as `https://") && !mistake.contains("hunter2"), "{mistake}");
        }
    }

    #[test]
    fn a_login_becomes_a_header_and_not_a_part_of_the_path() {
        let url: HttpUrl = "https://ops:a%2Fb@example.com/x?y=1".parse().unwrap();
        assert_eq!(url.authorization().unwrap(), "Basic b3BzOmEvYg==");
        assert_eq!((url.path_and_query().as_str(), url.authority().as_str()), ("/x?y=1", "example.com"));
    }

    #[test]
    fn the_parts_that_an_answer_must_not_show_are_known() {
        let url: HttpUrl = "https://example.com/bot123456:hunter2/send?key=abc%2Fdefg".parse().unwrap();
        let secrets = url.secrets();
        for secret in ["bot123456", "hunter2", "abc%2Fdefg", "abc/defg"] {
            assert!(secrets.iter().any(|part| part == secret), "{secret}");
        }
    }
}
