//! The engine that the `docker` command would use: `DOCKER_HOST`, a context of its own store, or the usual socket.
//!
//! The order is that of docker/cli (`cli/command/cli.go`, `resolveContextName`): `DOCKER_HOST`, `DOCKER_CONTEXT`, the current
//! context of `config.json`, the default. Behind it comes a rootless engine's socket, which the CLI only finds by a context.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Sha256;
use super::engine::{DEFAULT_SOCKET, EngineConfig, EngineTls, Host};
use super::environment::Environment;
use super::file;
use super::problem::{Mistake, Problem, choose};

/// The context that stands for the environment and the usual socket.
const DEFAULT_CONTEXT: &str = "default";

/// How the address of an engine without `host` was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostOrigin {
    /// By `DOCKER_HOST`.
    DockerHost,
    /// By a context of the Docker client.
    Context {
        /// Its name.
        name: String,
        /// `DOCKER_CONTEXT`, or the `config.json` whose current context it is.
        selected_by: String,
    },
    /// The usual socket.
    Default,
    /// The socket of a rootless engine, since there is no usual one.
    Rootless,
}

impl fmt::Display for HostOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DockerHost => f.write_str("chosen by `DOCKER_HOST`"),
            Self::Context { name, selected_by } => write!(f, "the Docker context `{name}`, chosen by `{selected_by}`"),
            Self::Default => f.write_str("the default"),
            Self::Rootless => write!(f, "the rootless engine, since there is no `{DEFAULT_SOCKET}`"),
        }
    }
}

/// The engine that the environment leads to.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) engine: EngineConfig,
    pub(super) origin: HostOrigin,
    /// What could not be looked at.
    pub(super) warning: Option<String>,
}

/// Returns the engine that the environment and the files of the Docker client lead to.
pub(super) fn choose_engine(environment: &Environment) -> Result<Chosen, Problem> {
    choose_beside(environment, Path::new(DEFAULT_SOCKET))
}

fn choose_beside(environment: &Environment, usual: &Path) -> Result<Chosen, Problem> {
    let chosen = |engine, origin| Chosen { engine, origin, warning: None };
    if environment.get("DOCKER_HOST").is_some() {
        return Ok(chosen(EngineConfig::from_docker_host(environment)?, HostOrigin::DockerHost));
    }
    let store = Store::of(environment);
    let (context, warning) = match (environment.text("DOCKER_CONTEXT")?, &store) {
        (Some(name), _) => (Some((name, "DOCKER_CONTEXT".to_owned())), None),
        (None, Some(store)) => store.current(),
        (None, None) => (None, None),
    };
    if let Some((name, selected_by)) = context.filter(|(name, _)| name != DEFAULT_CONTEXT) {
        let engine = match &store {
            Some(store) => store.engine(&name, usual),
            None => Err(Mistake::new(format!("there is no context `{name}`"), "set `HOME` or `DOCKER_CONFIG`")),
        };
        let engine = engine.map_err(|mistake| Problem::at(selected_by.as_str(), mistake))?;
        return Ok(Chosen { engine, origin: HostOrigin::Context { name, selected_by }, warning });
    }
    let rootless = environment.path("XDG_RUNTIME_DIR").map(|folder| folder.join("docker.sock"));
    let is_missing = |path: &Path| matches!(path.try_exists(), Ok(false));
    let (socket, origin) = match rootless.filter(|socket| is_missing(usual) && socket.exists()) {
        Some(socket) => (socket, HostOrigin::Rootless),
        None => (usual.to_owned(), HostOrigin::Default),
    };
    Ok(Chosen { warning, ..chosen(EngineConfig { host: Host::Unix(socket), tls: None }, origin) })
}

/// The folder in which the Docker client keeps its configuration and its contexts.
struct Store(PathBuf);

/// What is read of `config.json`.
#[derive(Deserialize)]
struct ClientConfig {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

/// What is read of `contexts/meta/<SHA-256 of the name>/meta.json`.
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

impl Store {
    fn of(environment: &Environment) -> Option<Self> {
        let home = || environment.path("HOME").map(|home| home.join(".docker"));
        environment.path("DOCKER_CONFIG").or_else(home).map(Self)
    }

    /// Returns the current context and the file that names it. A file that cannot be read is passed over with a warning, as the
    /// Docker client does.
    fn current(&self) -> (Option<(String, String)>, Option<String>) {
        let path = self.0.join("config.json");
        if matches!(path.try_exists(), Ok(false)) {
            return (None, None);
        }
        let shown = path.display().to_string();
        match read_json::<ClientConfig>(&path) {
            Ok(config) if config.current_context.is_empty() => (None, None),
            Ok(config) => (Some((config.current_context, shown)), None),
            Err(mistake) => (None, Some(format!("the current Docker context is not known: {}", mistake.message))),
        }
    }

    /// Returns the engine of a context.
    fn engine(&self, name: &str, usual: &Path) -> Result<EngineConfig, Mistake> {
        let id = Sha256::of(name.as_bytes()).to_string();
        let meta = self.0.join("contexts/meta").join(&id).join("meta.json");
        if matches!(meta.try_exists(), Ok(false)) {
            let known = self.names();
            let known: Vec<&str> = known.iter().map(String::as_str).chain([DEFAULT_CONTEXT]).collect();
            return Err(Mistake::new(format!("there is no Docker context `{name}`"), choose(name, &known, "contexts")));
        }
        let mut meta: Meta = read_json(&meta)?;
        let Some(endpoint) = meta.endpoints.remove("docker") else {
            let hint = "name another context in `DOCKER_CONTEXT`, or the engine in `DOCKER_HOST`";
            return Err(Mistake::new(format!("the Docker context `{name}` names no engine"), hint));
        };
        if endpoint.skip_tls_verify {
            let message =
                format!("the Docker context `{name}` does not verify the engine's certificate (`SkipTLSVerify`)");
            let hint = "dockbell always does: set `host` of the engine, and `tls = { ca = \"ca.pem\" }`";
            return Err(Mistake::new(message, hint));
        }
        if endpoint.host.is_empty() {
            return Ok(EngineConfig { host: Host::Unix(usual.to_owned()), tls: None });
        }
        let host = endpoint.host.parse().map_err(|mistake: Mistake| Mistake {
            message: format!("the address of the Docker context `{name}` cannot be used: {}", mistake.message),
            hint: mistake.hint,
        })?;
        let folder = self.0.join("contexts/tls").join(id).join("docker");
        let file = |name| Some(folder.join(name)).filter(|path| path.exists());
        let tls = EngineTls { ca: file("ca.pem"), client: file("cert.pem").zip(file("key.pem")) };
        let is_tls = matches!(host, Host::Tcp { .. }) && tls != EngineTls::default();
        Ok(EngineConfig { host, tls: is_tls.then_some(tls) })
    }

    /// Returns the names of all contexts that can be read.
    fn names(&self) -> Vec<String> {
        let folders = std::fs::read_dir(self.0.join("contexts/meta")).into_iter().flatten().flatten();
        let metas = folders.filter_map(|folder| read_json::<Meta>(&folder.path().join("meta.json")).ok());
        let mut names: Vec<String> = metas.map(|meta| meta.name).collect();
        names.sort();
        names
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Mistake> {
    let text = file::read_configuration(path)?;
    serde_json::from_str(&text).map_err(|error| {
        let hint = "`docker context ls` shows the contexts; `DOCKER_HOST` names an engine without one";
        Mistake::new(format!("cannot read `{}`: {error}", path.display()), hint)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// The home of somebody whose Docker client has some contexts. Folders are named by `printf NAME | sha256sum`.
    fn home(current: &str) -> TempDir {
        let home = TempDir::new().unwrap();
        let docker = home.path().join(".docker");
        for (id, name, endpoints) in [
            (
                "12b961af5feb3e9d39f93b2cefb9a1a944f18d02cca0cac2f04f5a982240605f",
                "rootless",
                r#"{"docker":{"Host":"unix:///run/user/1000/docker.sock","SkipTLSVerify":false}}"#,
            ),
            (
                "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868",
                "far",
                r#"{"docker":{"Host":"tcp://far:2376"}}"#,
            ),
            ("9b828d53402d6e332ef05a2fe03063b359192571ba99fcd3b85074f46a72fd7e", "bare", r#"{"kubernetes":{}}"#),
            (
                "1d92dae504a70fbcae6d3721a55d7eacaf94d3133ea5f0394b7d203d64841110",
                "insecure",
                r#"{"docker":{"Host":"tcp://far:2376","SkipTLSVerify":true}}"#,
            ),
            (
                "7f5a55cf3f88be936fb9440249cb449f3067ccee4b525d0027dc9278a29c32c1",
                "ssh",
                r#"{"docker":{"Host":"ssh://far"}}"#,
            ),
        ] {
            let folder = docker.join("contexts/meta").join(id);
            fs::create_dir_all(&folder).unwrap();
            let meta = format!(r#"{{"Name":"{name}","Metadata":{{"Description":"x"}},"Endpoints":{endpoints}}}"#);
            fs::write(folder.join("meta.json"), meta).unwrap();
        }
        let tls = docker.join("contexts/tls/512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868/docker");
        fs::create_dir_all(&tls).unwrap();
        for file in ["ca.pem", "cert.pem", "key.pem"] {
            fs::write(tls.join(file), "").unwrap();
        }
        fs::write(docker.join("config.json"), format!(r#"{{"auths":{{}},"currentContext":"{current}"}}"#)).unwrap();
        home
    }

    /// What is chosen by the home's owner with these variables, where `usual` is the usual socket.
    fn chosen(home: &TempDir, variables: &[(&str, &str)], usual: &Path) -> Result<(String, String), String> {
        let home = [("HOME", home.path().to_str().unwrap())];
        let environment = home.iter().chain(variables).copied().collect();
        let chosen = choose_beside(&environment, usual).map_err(|problem| problem.to_string())?;
        Ok((chosen.engine.host.to_string(), chosen.origin.to_string()))
    }

    fn missing() -> &'static Path {
        Path::new("/nowhere/docker.sock")
    }

    #[test]
    fn the_engine_is_chosen_in_the_order_of_the_docker_client() {
        let home = home("rootless");
        let host = |variables: &[(&str, &str)]| chosen(&home, variables, missing()).unwrap();
        let rootless = "unix:///run/user/1000/docker.sock";
        assert_eq!(host(&[("DOCKER_HOST", "tcp://a"), ("DOCKER_CONTEXT", "far")]).0, "tcp://a");
        let (address, why) = host(&[("DOCKER_CONTEXT", "far")]);
        assert_eq!(
            (address.as_str(), why.as_str()),
            ("tcp://far:2376", "the Docker context `far`, chosen by `DOCKER_CONTEXT`")
        );
        let (address, why) = host(&[]);
        assert_eq!(address, rootless);
        assert!(
            why.starts_with("the Docker context `rootless`, chosen by `") && why.ends_with("/.docker/config.json`"),
            "{why}"
        );
        assert_eq!(
            host(&[("DOCKER_CONTEXT", "default")]),
            ("unix:///nowhere/docker.sock".to_owned(), "the default".to_owned())
        );
    }

    #[test]
    fn the_folder_of_the_docker_client_may_be_elsewhere() {
        let (owner, other) = (home(""), home("rootless"));
        let folder = other.path().join(".docker");
        let found = chosen(&owner, &[("DOCKER_CONFIG", folder.to_str().unwrap())], missing()).unwrap();
        assert_eq!(found.0, "unix:///run/user/1000/docker.sock");
    }

    #[test]
    fn a_context_brings_its_certificates() {
        let home = home("far");
        let environment = [("HOME", home.path())].into_iter().collect();
        let tls = choose_beside(&environment, missing()).unwrap().engine.tls.unwrap();
        assert!(tls.ca.unwrap().ends_with("docker/ca.pem"));
        assert!(tls.client.unwrap().1.ends_with("docker/key.pem"));
    }

    #[test]
    fn a_rootless_socket_is_used_where_there_is_no_usual_one() {
        let (home, run) = (home(""), TempDir::new().unwrap());
        let (socket, usual) = (run.path().join("docker.sock"), run.path().join("usual.sock"));
        let variables = [("XDG_RUNTIME_DIR", run.path().to_str().unwrap())];
        let host = || chosen(&home, &variables, &usual).unwrap();
        assert_eq!(host().0, format!("unix://{}", usual.display()), "there is neither");
        fs::write(&socket, "").unwrap();
        assert_eq!(
            host(),
            (
                format!("unix://{}", socket.display()),
                "the rootless engine, since there is no `/var/run/docker.sock`".to_owned()
            )
        );
        fs::write(&usual, "").unwrap();
        assert_eq!(host().0, format!("unix://{}", usual.display()));
    }

    #[test]
    fn a_context_that_cannot_be_used_is_an_error_with_a_hint() {
        let home = home("");
        for (name, what) in [
            ("rootles", "DOCKER_CONTEXT: there is no Docker context `rootles`\nhint: did you mean `rootless`?"),
            (
                "x",
                "DOCKER_CONTEXT: there is no Docker context `x`\nhint: contexts: `bare`, `far`, `insecure`, `rootless`, `ssh`, `default`",
            ),
            ("bare", "DOCKER_CONTEXT: the Docker context `bare` names no engine\nhint: "),
            ("insecure", "does not verify the engine's certificate (`SkipTLSVerify`)\nhint: "),
            (
                "ssh",
                "DOCKER_CONTEXT: the address of the Docker context `ssh` cannot be used: `ssh://` is not supported\nhint: forward",
            ),
        ] {
            let error = chosen(&home, &[("DOCKER_CONTEXT", name)], missing()).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn an_unreadable_configuration_of_the_docker_client_is_passed_over_with_a_warning() {
        let home = home("rootless");
        fs::write(home.path().join(".docker/config.json"), "{").unwrap();
        let environment = [("HOME", home.path())].into_iter().collect();
        let chosen = choose_beside(&environment, missing()).unwrap();
        assert_eq!(chosen.origin, HostOrigin::Default);
        let warning = chosen.warning.unwrap();
        assert!(warning.starts_with("the current Docker context is not known: cannot read `"), "{warning}");
    }
}
