//! A mail server as one URL: `smtp://user:pass@host:587`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Host, Url};

use super::problem::Mistake;
use super::{Login, SmtpServer, SmtpTls};

const FORMS: &str = "`smtp://user:password@host:587` (STARTTLS), `smtps://user:password@host` (implicit TLS) or \
                     `smtp://host:25?tls=none`; write special characters in the password as `%` and two hexadecimal \
                     digits: `@` is `%40`, `/` is `%2F`, `#` is `%23`, `?` is `%3F`, `%` is `%25`";

/// `smtp://[user:password@]host[:port][?tls=implicit|starttls|none]`, or `smtps://` for implicit TLS. User and password are
/// percent-decoded. No message about a wrong one repeats any part of it: whatever is misplaced may be the password.
impl FromStr for SmtpServer {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let wrong = |message: &str| Mistake::new(message, FORMS);
        let url = Url::parse(text).map_err(|_| wrong("is not the URL of a mail server"))?;
        let scheme_tls = match url.scheme() {
            "smtp" => SmtpTls::StartTls,
            "smtps" => SmtpTls::Implicit,
            _ => return Err(wrong("is not the URL of a mail server: it begins with neither `smtp://` nor `smtps://`")),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if is_name(name) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(wrong("has no valid host name")),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(wrong("has something behind the host that does not belong there"));
        }
        let tls = tls(&url, scheme_tls)?;
        let port = match url.port() {
            Some(0) => return Err(wrong("has port 0")),
            Some(port) => port,
            None => tls.default_port(),
        };
        Ok(Self { host, port, tls, login: login(&url)?, ca: None })
    }
}

impl SmtpTls {
    /// The port that servers listen on: 465 for implicit TLS and 587 for STARTTLS (RFC 8314), 25 without.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Implicit => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

impl SmtpServer {
    /// Whether the server is on this machine, by its name.
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The URL without the password: `smtp://user@host:587`.
impl fmt::Display for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls == SmtpTls::Implicit { "smtps://" } else { "smtp://" })?;
        if let Some(login) = &self.login {
            write!(f, "{}@", login.user)?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        write!(f, ":{}", self.port)?;
        f.write_str(if self.tls == SmtpTls::None { "?tls=none" } else { "" })
    }
}

fn tls(url: &Url, by_scheme: SmtpTls) -> Result<SmtpTls, Mistake> {
    let mut pairs = url.query_pairs();
    let tls = match (pairs.next(), pairs.next()) {
        (None, _) => return Ok(by_scheme),
        (Some((key, value)), None) if key == "tls" => value,
        _ => return Err(Mistake::new("has an unknown key behind the `?`", "only `tls` is known there, once")),
    };
    let tls = match &*tls {
        "implicit" => SmtpTls::Implicit,
        "starttls" => SmtpTls::StartTls,
        "none" => SmtpTls::None,
        _ => {
            let hint = "possible values: `implicit`, `starttls`, `none`";
            return Err(Mistake::new("has an unknown value for `tls`", hint));
        }
    };
    if by_scheme == SmtpTls::Implicit && tls != SmtpTls::Implicit {
        return Err(Mistake::new("contradicts itself: `smtps://` is implicit TLS", "write `smtp://` to use `tls`"));
    }
    Ok(tls)
}

fn login(url: &Url) -> Result<Option<Login>, Mistake> {
    let decoded = |part: &str| match percent_decode_str(part).decode_utf8() {
        Ok(text) if !text.contains(['\0', '\r', '\n']) => Ok(text.into_owned()),
        _ => Err(Mistake::new("has a login that is not text", FORMS)),
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) if !user.is_empty() && !password.is_empty() => {
            Ok(Some(Login { user: decoded(user)?, password: SecretString::from(decoded(password)?) }))
        }
        _ => Err(Mistake::new("has half a login: user and password belong together", FORMS)),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}
