//! Real containers on the real engine that `cargo xtask test` names.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use real_engine::{Docker, Tiny};

/// The image of every container: one static program that does what its arguments say (`tests/real-engine/tiny.c`).
pub const IMAGE: &str = "dockbell-test/tiny:1";
/// The same, with a health check that fails while the container has a file `/sick`.
pub const IMAGE_WITH_HEALTH: &str = "dockbell-test/healthy:1";

/// The engine, with the images in it.
///
/// # Panics
/// When `cargo xtask test` has not named one.
#[must_use]
pub fn engine() -> Docker {
    static IMPORT: Once = Once::new();
    let docker = Docker::at(&named("DOCKBELL_TEST_ENGINE"));
    IMPORT.call_once(|| import_images(&docker));
    docker
}

/// Puts the images into an engine.
///
/// # Panics
/// When the engine does not take them.
pub fn import_images(docker: &Docker) {
    let tiny = Tiny::built(&named("DOCKBELL_TEST_TINY"));
    tiny.import(docker, IMAGE, &[]).unwrap();
    let health = "HEALTHCHECK --interval=250ms --retries=1 CMD [\"/tiny\", \"health\", \"/sick\"]";
    tiny.import(docker, IMAGE_WITH_HEALTH, &[health]).unwrap();
}

/// What a variable says that `cargo xtask test` sets.
pub(crate) fn named(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(value) => PathBuf::from(value),
        None => panic!("`{variable}` is not set: run these tests by `cargo xtask test`"),
    }
}

/// A container without network; dropping it removes it.
#[derive(Debug)]
pub struct Container {
    docker: Docker,
    name: String,
}

impl Container {
    /// Creates a container with a name of its own that begins with `name`. `options` are those of `docker create`, `words`
    /// what it does.
    ///
    /// # Panics
    /// When the engine refuses it.
    #[must_use]
    pub fn create(docker: &Docker, name: &str, options: &[&str], words: &[&str]) -> Self {
        Self::create_from(docker, IMAGE, name, options, words)
    }

    /// The same, from another image.
    ///
    /// # Panics
    /// When the engine refuses it.
    #[must_use]
    pub fn create_from(docker: &Docker, image: &str, name: &str, options: &[&str], words: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let fixed = ["create", "--network=none", "--name", &name];
        docker.run(&[&fixed, options, &[image], words].concat()).unwrap();
        Self { docker: docker.clone(), name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `docker COMMAND NAME`, such as `start`, `stop`, `kill`; answers what it printed.
    ///
    /// # Panics
    /// When that fails.
    pub fn told_to(&self, command: &[&str]) -> String {
        self.docker.run(&[command, &[&self.name]].concat()).unwrap()
    }

    /// Starts it.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn started(self) -> Self {
        self.told_to(&["start"]);
        self
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.docker.run(&["rm", "--force", &self.name]);
    }
}

/// One connection to an engine, for many requests; the `docker` command takes twenty times as long for one.
#[derive(Debug)]
pub struct Requests(BufReader<UnixStream>);

impl Requests {
    /// Connects.
    ///
    /// # Panics
    /// When the engine does not answer.
    #[must_use]
    pub fn to(docker: &Docker) -> Self {
        Self(BufReader::new(UnixStream::connect(docker.socket()).unwrap()))
    }

    /// Sends a `POST` without a body that has an answer without one.
    ///
    /// # Panics
    /// When the engine does not say 204.
    pub fn post(&mut self, path: &str) {
        write!(self.0.get_mut(), "POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "the engine ended the connection after: {head}");
        }
        assert!(head.starts_with("HTTP/1.1 204"), "{path}: {head}");
    }
}
