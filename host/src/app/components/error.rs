//! Why a component cannot be had.

use std::fmt;

use crate::config::{Reference, Sha256};
use crate::deliver::http::HttpError;
use crate::tls::TlsError;

/// A component that cannot be had.
#[derive(Debug)]
pub struct FetchError {
    plugin: String,
    reference: Reference,
    failure: Failure,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{error}{}", hint_of_http(.error))]
    Http { error: HttpError },
    #[error("{what}: {status}\nhint: {}", hint_of(*.status))]
    Status { what: &'static str, status: u16 },
    #[error(
        "{what} is another one: its digest is {found}, not {expected}\nhint: the registry, or something on the way to it, gave another content"
    )]
    Digest { what: &'static str, expected: Sha256, found: Sha256 },
    #[error("{what} has {found} bytes, not {expected}\nhint: the transfer was cut off; try again")]
    Length { what: &'static str, expected: u64, found: u64 },
    #[error("its manifest has more than {0} bytes")]
    HugeManifest(u64),
    #[error("it is no component: {0}\nhint: `wkg oci push` publishes components in the form that is read")]
    NoComponent(String),
    #[error("the registry leads elsewhere: {0}")]
    Redirect(String),
    #[error("the registry asks for a proof in a way that is not known")]
    Challenge,
    #[error("a token was not given: {0}")]
    Token(String),
    #[error(transparent)]
    Tls(TlsError),
    #[error("login: {0}")]
    Login(String),
    #[error(
        "a tag may be another component tomorrow\nhint: write `component = \"{0}\"`, which is what the tag is today"
    )]
    Tag(Box<Reference>),
    #[error(
        "cannot be kept in `{folder}`: {error}\nhint: name a folder that can be written by `--state` or `DOCKBELL_CACHE`"
    )]
    Shelf { folder: String, error: std::io::Error },
    #[error("there is no folder to keep it in\nhint: name one by `--state` or `DOCKBELL_CACHE`")]
    NoShelf,
}

impl FetchError {
    pub(super) fn new(plugin: &str, reference: &Reference, failure: Failure) -> Self {
        Self { plugin: plugin.to_owned(), reference: reference.clone(), failure }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin `{}`: `{}` cannot be had: {}", self.plugin, self.reference, self.failure)
    }
}

impl std::error::Error for FetchError {}

fn hint_of_http(error: &HttpError) -> String {
    error.failure().hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}

fn hint_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "it may be private: `login-file` of the plugin names a file with a login for the registry",
        404 => "check the reference: there is nothing under this name and digest",
        429 => "the registry has had too many requests; try again later, or with a login",
        _ => "try again later",
    }
}
