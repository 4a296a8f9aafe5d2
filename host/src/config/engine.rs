//! `[engines.NAME]`: a container engine to watch.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::environment::Environment;
use super::problem::{Mistake, Problem};
use super::value::Value;

/// Where Docker's socket is when nobody says otherwise.
pub(super) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

const FORMS: &str = "`unix:///var/run/docker.sock` or `tcp://host:2375` are possible";

/// A container engine to watch.
///
/// ```toml
/// [engines.web-1]
/// host = "tcp://10.0.0.5:2376"
/// tls = { ca = "/etc/dockbell/ca.pem", cert = "/etc/dockbell/cert.pem", key = "/etc/dockbell/key.pem" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// `host`: where the engine listens. Default: that of the `docker` command, which is `DOCKER_HOST`, the context that
    /// `DOCKER_CONTEXT` names, the current context of `~/.docker/config.json` or `unix:///var/run/docker.sock`; where there is
    /// no such socket, that of a rootless engine, `$XDG_RUNTIME_DIR/docker.sock`.
    pub host: Host,
    /// `tls`: certificate files for a `tcp://` host. Default: none, or those of the Docker context, or the files of
    /// `DOCKER_CERT_PATH` when the host comes from `DOCKER_HOST` and `DOCKER_TLS_VERIFY` is set.
    pub tls: Option<EngineTls>,
}

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// `unix:///var/run/docker.sock`, or a path alone.
    Unix(PathBuf),
    /// `tcp://host:port` or `http://host:port`; default port 2375, with TLS 2376.
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
    /// `ca`: certificates to trust, and no others: those that sign engines', or the engine's own. Default: the system's.
    pub ca: Option<PathBuf>,
    /// `cert` and `key`: how dockbell proves who it is. Default: it does not.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl EngineConfig {
    /// Returns the engine that `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` name, as the Docker client reads them.
    pub(super) fn from_docker_host(environment: &Environment) -> Result<Self, Problem> {
        let host = environment.text("DOCKER_HOST")?.unwrap_or_default();
        let host: Host = host.parse().map_err(|mistake| Problem::at("DOCKER_HOST", mistake))?;
        let wants_tls = matches!(host, Host::Tcp { .. }) && environment.get("DOCKER_TLS_VERIFY").is_some();
        Ok(Self { host, tls: wants_tls.then(|| EngineTls::from_environment(environment)) })
    }

    /// Reads one entry of `[engines]`. One without `host` is the engine that `choose` returns.
    pub(super) fn read(value: Value<'_>, choose: impl FnOnce() -> Result<Self, Problem>) -> Option<Self> {
        let mut table = value.table()?;
        let engine = match table.take("host") {
            Some(host) => host.parse().map(|host| Self { host, tls: None }),
            None => choose().map_err(|problem| table.report(no_default(&problem))).ok(),
        };
        let tls = table.take("tls");
        table.finish();
        let mut engine = engine?;
        if let Some(tls) = tls {
            if matches!(engine.host, Host::Unix(_)) {
                tls.report(Mistake::new("a socket has no TLS", "remove `tls`, or name a `tcp://` host"));
            }
            engine.tls = EngineTls::read(tls);
        }
        Some(engine)
    }
}

fn no_default(problem: &Problem) -> Mistake {
    let message = format!("has no `host`, and `{}` cannot be used: {}", problem.place, problem.mistake.message);
    Mistake { message, hint: problem.mistake.hint.clone() }
}

impl EngineTls {
    /// The files that the Docker client uses: those of `DOCKER_CERT_PATH`, else those that exist of `~/.docker`.
    fn from_environment(environment: &Environment) -> Self {
        let (folder, is_default) = match (environment.path("DOCKER_CERT_PATH"), environment.path("HOME")) {
            (Some(folder), _) => (folder, false),
            (None, Some(home)) => (home.join(".docker"), true),
            (None, None) => return Self::default(),
        };
        let file = |name| Some(folder.join(name)).filter(|path| !is_default || path.exists());
        Self { ca: file("ca.pem"), client: file("cert.pem").zip(file("key.pem")) }
    }

    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let (ca, cert, key) = (table.take("ca"), table.take("cert"), table.take("key"));
        if cert.is_some() != key.is_some() {
            let hint = "name both files, or neither when the engine asks for no certificate";
            table.report(Mistake::new("`cert` and `key` belong together", hint));
        }
        table.finish();
        let client = cert.and_then(Value::path).zip(key.and_then(Value::path));
        Some(Self { ca: ca.and_then(Value::path), client })
    }
}

/// `unix:///path`, `/path`, `tcp://host[:port]` or `http://host[:port]`.
impl FromStr for Host {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.starts_with('/').then_some(text)) {
            return match path.starts_with('/') && !path.contains('\0') {
                true => Ok(Self::Unix(path.into())),
                false => {
                    Err(Mistake::new("names no socket", format!("write the whole path: `unix://{DEFAULT_SOCKET}`")))
                }
            };
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Err(Mistake::new("is not the address of an engine", FORMS));
        };
        match scheme {
            "tcp" | "http" => {}
            "https" => {
                let hint = "write `tcp://host:2376` and `tls = {}`; in `DOCKER_HOST`, with `DOCKER_TLS_VERIFY=1`";
                return Err(Mistake::new("`https://` is written as `tcp://` with TLS here", hint));
            }
            "ssh" => {
                let hint = "forward the socket with `ssh -N -L /run/dockbell/docker.sock:/var/run/docker.sock HOST` and \
                            name it: `unix:///run/dockbell/docker.sock`";
                return Err(Mistake::new("`ssh://` is not supported", hint));
            }
            "npipe" => return Err(Mistake::new("`npipe://` is not supported: dockbell runs on Linux", FORMS)),
            _ => return Err(Mistake::new("is not the address of an engine", FORMS)),
        }
        // Parsed as a scheme without rules of its own, so that a port 80 is kept.
        let address = Url::parse(&format!("tcp{}", &text[scheme.len()..]))
            .map_err(|error| Mistake::new(format!("is not the address of an engine: {error}"), FORMS))?;
        let host = match address.host() {
            Some(url::Host::Domain(name)) if !name.is_empty() && !name.contains('%') => name.to_owned(),
            Some(url::Host::Ipv4(ip)) => ip.to_string(),
            Some(url::Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(Mistake::new("has no valid host name", FORMS)),
        };
        let has_login = !address.username().is_empty() || address.password().is_some();
        let has_rest = !matches!(address.path(), "" | "/") || address.query().is_some() || address.fragment().is_some();
        if has_login || has_rest || address.port() == Some(0) {
            return Err(Mistake::new("has more than a host and a port", FORMS));
        }
        Ok(Self::Tcp { host, port: address.port() })
    }
}

/// The form that [`Host::from_str`] reads.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = match self {
            Self::Unix(path) => return write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } => (host, port),
        };
        match host.contains(':') {
            true => write!(f, "tcp://[{host}]")?,
            false => write!(f, "tcp://{host}")?,
        }
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_shown_as_they_are_read() {
        for text in ["unix:///run/docker.sock", "tcp://10.0.0.5:2376", "tcp://db", "tcp://[::1]:2375", "tcp://web:80"] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_path_and_http_are_other_ways_to_write_a_host() {
        assert_eq!("/run/docker.sock".parse(), "unix:///run/docker.sock".parse::<Host>());
        assert_eq!("http://web:80/".parse(), "tcp://web:80".parse::<Host>());
    }

    #[test]
    fn what_is_no_host_is_refused_without_repeating_it() {
        for text in
            ["", "secret", "tcp://", "tcp://:2375", "tcp://a b", "tcp://h:0", "unix://", "unix:///a\0b", "tcp://[::1"]
        {
            let mistake = text.parse::<Host>().unwrap_err();
            assert!(mistake.hint.is_some() && !mistake.message.contains("secret"), "{text}: {mistake}");
        }
    }
}
