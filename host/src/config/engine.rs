//! `[engines.NAME]`: a container engine to watch.

use std::path::PathBuf;

/// A container engine to watch.
///
/// ```toml
/// [engines.web-1]
/// host = "tcp://10.0.0.5:2376"
/// tls = { ca = "/etc/dockbell/ca.pem", cert = "/etc/dockbell/cert.pem", key = "/etc/dockbell/key.pem" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// `host`: where the engine listens. Default: `DOCKER_HOST`, else `unix:///var/run/docker.sock`.
    pub host: Host,
    /// `tls`: certificate files for a `tcp://` host. Default: none, or the files of `DOCKER_CERT_PATH` when the host comes
    /// from `DOCKER_HOST` and `DOCKER_TLS_VERIFY` is set.
    pub tls: Option<EngineTls>,
}

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// `unix:///var/run/docker.sock`, or a path alone.
    Unix(PathBuf),
    /// `tcp://host:port`; default port 2375, with TLS 2376.
    Tcp {
        /// Name or address.
        host: String,
        /// Port; none means the default.
        port: Option<u16>,
    },
}

/// Certificate files (PEM) for an engine behind TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineTls {
    /// `ca`: certificates that may sign the engine's. Default: the system's.
    pub ca: Option<PathBuf>,
    /// `cert` and `key`: how dockbell proves who it is. Default: it does not.
    pub client: Option<(PathBuf, PathBuf)>,
}
