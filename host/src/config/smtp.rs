//! A mail server as one URL: `smtp://user:pass@host:587`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::problem::Mistake;
use super::secret::Secret;
use super::{Auth, Login, SmtpServer, SmtpTls};

const FORMS: &str = "`smtp://user:password@host:587` (STARTTLS), `smtps://user:password@host` (implicit TLS) or \
                     `smtp://host:25?tls=none` are possible";

const ENCODING: &str = "in the password write `@` as `%40`, `/` as `%2F`, `#` as `%23`, `?` as `%3F` and `%` as `%25`";

/// `smtp://[user:password@]host[:port][?tls=implicit|starttls|none]`, or `smtps://` for implicit TLS. User and password are
/// percent-decoded. No message about a wrong one repeats any part of it: whatever is misplaced may be the password.
impl FromStr for SmtpServer {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        // With a login in it, the most likely slip is a special character in the password.
        let wrong = |message: &str| Mistake::new(message, if text.contains('@') { ENCODING } else { FORMS });
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
        if text.contains('@') && url.username().is_empty() {
            return Err(wrong("has a `@` where no login can be"));
        }
        let tls = tls(&url, scheme_tls)?;
        let port = match url.port() {
            Some(0) => return Err(wrong("has port 0")),
            Some(port) => port,
            None => tls.default_port(),
        };
        Ok(Self { host, port, tls, login: login(&url)?, ca: None, ehlo: None })
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
    let decoded = |part: &str| {
        let text = percent_decode_str(part).decode_utf8().map(String::from);
        text.map_err(|_| Mistake::new("has a login that is not UTF-8", ENCODING))
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) => Login::new(decoded(user)?, decoded(password)?).map(Some),
        (_, None) => Err(Mistake::new("has half a login: user and password belong together", FORMS)),
    }
}

impl Login {
    /// A login that can be sent: neither part is empty or has control characters in it.
    pub(super) fn new(user: String, password: String) -> Result<Self, Mistake> {
        for (part, text) in [("user", &user), ("password", &password)] {
            if text.is_empty() {
                return Err(Mistake::new(
                    format!("the {part} is empty"),
                    "leave both out for a relay that wants no login",
                ));
            }
            if text.contains(char::is_control) {
                let hint = "a file that holds it must hold one line";
                return Err(Mistake::new(format!("the {part} has a control character in it, such as a newline"), hint));
            }
        }
        Ok(Self { user, secret: Secret::text(&password), auth: Auth::Password })
    }
}

/// Returns whether a text is a domain name as mail has them (RFC 5321 section 4.1.2): labels of letters, digits and hyphens, and
/// no address.
#[must_use]
pub fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Checks a name for EHLO: a domain name, or an address as RFC 5321 section 4.1.3 writes it.
pub(super) fn check_ehlo(name: &str) -> Result<(), Mistake> {
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_literal = literal.is_some_and(|address| match address.strip_prefix("IPv6:") {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => address.parse::<Ipv4Addr>().is_ok(),
    });
    if is_literal || is_domain(name) {
        return Ok(());
    }
    let hint = "such as `ehlo = \"web-1.example.com\"` or `ehlo = \"[192.0.2.1]\"`";
    Err(Mistake::new(format!("`{}` is not a name for EHLO", name.escape_debug()), hint))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(text: &str) -> SmtpServer {
        text.parse().unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
    }

    #[test]
    fn the_port_follows_the_protection() {
        for (text, port, tls) in [
            ("smtp://mail", 587, SmtpTls::StartTls),
            ("smtps://mail", 465, SmtpTls::Implicit),
            ("smtp://mail?tls=none", 25, SmtpTls::None),
            ("smtp://mail/?tls=implicit", 465, SmtpTls::Implicit),
            ("smtp://mail:2525?tls=starttls", 2525, SmtpTls::StartTls),
            ("smtp://[::1]:25?tls=none", 25, SmtpTls::None),
        ] {
            let server = read(text);
            assert_eq!((server.port, server.tls), (port, tls), "{text}");
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let login = read("smtp://ops%40example.com:a%2Fb%23%25%C3%BC@mail").login.unwrap();
        let Secret::Text(password) = login.secret else { panic!("{login:?}") };
        assert_eq!((login.user.as_str(), password.expose_secret()), ("ops@example.com", "a/b#%ü"));
    }

    #[test]
    fn a_name_for_ehlo_is_a_domain_or_an_address_in_brackets() {
        for name in ["web-1.example.com", "web1", "[192.0.2.1]", "[IPv6:2001:db8::1]"] {
            assert!(check_ehlo(name).is_ok(), "{name}");
        }
        let long = format!("{}.example.com", "x".repeat(64));
        for name in
            ["", "web_1.example.com", "küche", "192.0.2.1", "[2001:db8::1]", "a b", "a\r\nDATA", "-a.b", "a..b", &long]
        {
            assert!(check_ehlo(name).unwrap_err().to_string().contains("hint:"), "{name}");
        }
    }

    #[test]
    fn neither_debug_nor_display_shows_the_password() {
        let server = read("smtp://ops:hunter2@mail");
        assert_eq!(server.to_string(), "smtp://ops@mail:587");
        assert!(!format!("{server:?}").contains("hunter2"));
    }

    #[test]
    fn a_url_without_login_is_shown_as_it_is_read() {
        for text in ["smtp://mail:587", "smtps://mail:465", "smtp://10.0.0.5:25?tls=none", "smtp://[::1]:2525?tls=none"]
        {
            assert_eq!(read(text).to_string(), text);
            assert_eq!(read(&read(text).to_string()).to_string(), text);
        }
    }

    #[test]
    fn whatever_is_wrong_the_message_repeats_no_part_of_it() {
        let secrets = ["hunter2", "hunter/2", "hunter?2", "hunter#2", "hunter:2", "hunter 2", "hunter@2", "hunter%FF"];
        for secret in secrets {
            let forms =
                ["x://u:{}@mail", "u:{}@mail", "smtp://u:{}@mail/x", "smtp://u:{}@", "smtp://u:{}@mail:0", "{}"];
            for form in forms {
                let mistake = form.replace("{}", secret).parse::<SmtpServer>().unwrap_err();
                assert!(!mistake.to_string().contains("hunter"), "{mistake}");
            }
        }
        for text in [
            "smtp://u:587?hunter2@mail",
            "smtp://u:25?tls=hunter2@mail",
            "smtp://u:1/hunter2@mail",
            "smtp://:hunter2@mail",
        ] {
            let mistake = text.parse::<SmtpServer>().unwrap_err();
            assert!(!mistake.to_string().contains("hunter"), "{mistake}");
        }
    }
}
