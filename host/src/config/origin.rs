//! Where a plugin may send requests: scheme, host and port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::HttpUrl;
use super::problem::Mistake;

const FORMS: &str = "scheme and host, and a port if it is not the usual one, such as `https://api.example.com`";

/// A web server that a plugin may ask: `https://api.example.com`, `http://10.0.0.5:8080`. All of its paths, and no other
/// server, not even one that it redirects to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    /// A name or an address, without the brackets of an IPv6 address.
    host: String,
    port: u16,
}

impl Origin {
    /// That of a URL.
    #[must_use]
    pub fn of(url: &HttpUrl) -> Self {
        Self { https: url.is_https(), host: url.host(), port: url.port() }
    }

    /// Whether it is named by its address.
    fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Whether it is named as this machine itself.
    fn is_localhost(&self) -> bool {
        self.host == "localhost"
    }
}

impl FromStr for Origin {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let url: HttpUrl = text.parse().map_err(|mistake: Mistake| Mistake::new(mistake.message, FORMS))?;
        if url.authorization().is_some() {
            return Err(Mistake::new("holds a login", "a plugin gets its secrets by `env`, `dirs` or its `config`"));
        }
        let ends = text.trim().trim_end_matches('/');
        if url.path_and_query() != "/" || ends.contains(['?', '#']) || url.host().contains('*') {
            return Err(Mistake::new("is more than a host", FORMS));
        }
        Ok(Self::of(&url))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { https, host, port } = self;
        let (scheme, usual) = if *https { ("https", 443) } else { ("http", 80) };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{host}{close}")?;
        if *port == usual { Ok(()) } else { write!(f, ":{port}") }
    }
}

/// An entry of `http`: a server, and which addresses its name may lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The server.
    pub origin: Origin,
    /// `private`: whether its name may lead to an address of the own network or to this machine. An address that is named
    /// itself, and `localhost`, need no such word. Default `false`.
    pub private: bool,
}

/// Which addresses the name of a server may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Those of the internet.
    Internet,
    /// Those of the own network and this machine, too. What hands out credentials to whoever asks (the metadata of a cloud)
    /// and what is no single machine stay out.
    Private,
}

impl Server {
    /// Which addresses its name may lead to.
    #[must_use]
    pub fn reached(&self) -> Reached {
        let named = self.origin.is_address() || self.origin.is_localhost();
        if self.private || named { Reached::Private } else { Reached::Internet }
    }
}

/// As it stands in the configuration.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, private } = self;
        if *private { write!(f, "{{ url = \"{origin}\", private = true }}") } else { write!(f, "\"{origin}\"") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_it_is_read() {
        for (text, written) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://API.example.com:443/", "https://api.example.com"),
            ("http://10.0.0.5:8080", "http://10.0.0.5:8080"),
            ("http://0x0a000005:80", "http://10.0.0.5"),
            ("https://[fd00::1]:8443", "https://[fd00::1]:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), written);
            assert_eq!(written.parse(), Ok(origin));
        }
    }

    #[test]
    fn scheme_host_and_port_must_be_the_same() {
        let of = |url: &str| Origin::of(&url.parse().unwrap());
        let granted: Origin = "https://api.example.com".parse().unwrap();
        assert_eq!(of("https://api.example.com/v1/a?b=c"), granted);
        assert_eq!(of("https://api.example.com:443/"), granted);
        for other in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://example.com/",
            "https://a.api.example.com/",
            "https://api.example.com.evil.example/",
            "https://api.example.com@evil.example/",
            "https://evil.example/https://api.example.com",
        ] {
            assert_ne!(of(other), granted, "{other}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_a_host_is_refused() {
        for text in [
            "",
            "api.example.com",
            "*",
            "https://*.example.com",
            "https://api.example.com/v1",
            "https://api.example.com?x",
            "https://api.example.com/?",
            "https://api.example.com#x",
            "https://user:password@api.example.com",
            "ftp://api.example.com",
            "https://",
            "https://api.example.com:0",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
