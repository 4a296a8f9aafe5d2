//! The name that dockbell gives itself in EHLO.

use std::fmt;
use std::net::IpAddr;

use crate::config::is_domain;

/// The name that dockbell gives itself in EHLO.
///
/// Many servers refuse a name without a dot, which a container's id or a short host name is (Postfix:
/// `reject_non_fqdn_helo_hostname`). Without a name that can be one, RFC 5321 section 4.1.4 wants the address instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hello {
    /// A domain name or an address literal.
    Name(String),
    /// The address of this end of the connection.
    Address,
}

impl Hello {
    /// Returns what was configured, else the host's name if it is fully qualified, else the address.
    pub(super) fn new(configured: Option<&str>, hostname: &str) -> Self {
        let qualified = Some(hostname).filter(|name| name.contains('.') && is_domain(name));
        configured.or(qualified).map_or(Self::Address, |name| Self::Name(name.to_owned()))
    }

    /// Returns the name on a connection whose own end has this address.
    pub(super) fn on(&self, local: Option<IpAddr>) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Address => Literal(local.unwrap_or(IpAddr::from([127, 0, 0, 1])).to_canonical()).to_string(),
        }
    }
}

/// An address as RFC 5321 section 4.1.3 writes it: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
struct Literal(IpAddr);

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "[{address}]"),
            IpAddr::V6(address) => write!(f, "[IPv6:{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_or_impossible_name_becomes_the_address() {
        let local = |address: &str| Some(address.parse().unwrap());
        for (hostname, address, hello) in [
            ("web-1", "192.0.2.1", "[192.0.2.1]"),
            ("3f2a9c81d0be", "2001:db8::1", "[IPv6:2001:db8::1]"),
            ("web_1.example.com", "::ffff:192.0.2.1", "[192.0.2.1]"),
            ("küche.example.com", "192.0.2.1", "[192.0.2.1]"),
            ("192.0.2.7", "192.0.2.1", "[192.0.2.1]"),
            ("web-1.example.com", "192.0.2.1", "web-1.example.com"),
        ] {
            assert_eq!(Hello::new(None, hostname).on(local(address)), hello, "{hostname}");
        }
        assert_eq!(Hello::new(Some("mail"), "web-1.example.com").on(None), "mail");
    }
}
