//! Where an engine listens, with every default filled in.

use std::fmt;
use std::path::PathBuf;

use crate::config::{EngineConfig, Host};

/// Docker's port without TLS.
const PLAIN_PORT: u16 = 2375;
/// Docker's port with TLS.
const TLS_PORT: u16 = 2376;

/// Where an engine listens; shown as `DOCKER_HOST` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP, with or without TLS.
    Tcp {
        /// Name or address, an IPv6 address without brackets.
        host: String,
        /// Port.
        port: u16,
    },
}

impl Address {
    /// The address of a configuration: port 2375, or with TLS 2376, where it names none.
    #[must_use]
    pub fn of(config: &EngineConfig) -> Self {
        match &config.host {
            Host::Unix(path) => Self::Unix(path.clone()),
            Host::Tcp { host, port } => Self::Tcp {
                host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
                port: port.unwrap_or(if config.tls.is_some() { TLS_PORT } else { PLAIN_PORT }),
            },
        }
    }

    /// Value of the `Host` header. For a unix socket any name will do; engines refuse an empty one.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { .. } => write!(f, "tcp://{}", self.authority()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EngineTls;

    fn shown(host: Host, tls: Option<EngineTls>) -> String {
        Address::of(&EngineConfig { host, tls }).to_string()
    }

    #[test]
    fn the_port_depends_on_tls_where_none_is_named() {
        let host = |port| Host::Tcp { host: "web-1".to_owned(), port };
        assert_eq!(shown(host(None), None), "tcp://web-1:2375");
        assert_eq!(shown(host(None), Some(EngineTls::default())), "tcp://web-1:2376");
        assert_eq!(shown(host(Some(1234)), None), "tcp://web-1:1234");
    }

    #[test]
    fn an_ipv6_address_is_shown_in_brackets_once() {
        for host in ["::1", "[::1]"] {
            assert_eq!(shown(Host::Tcp { host: host.to_owned(), port: None }, None), "tcp://[::1]:2375");
        }
    }

    #[test]
    fn a_socket_is_shown_as_docker_host_writes_it() {
        assert_eq!(shown(Host::Unix("/run/docker.sock".into()), None), "unix:///run/docker.sock");
    }
}
