//! What a component asks for by its imports, and what of it is granted.

use serde::Serialize;

use super::v0_1::PACKAGE;
use crate::config::Grants;

/// An import that only works where the plugin's table grants it.
///
/// The files, sockets and environment of WASI are no asks: compilers of Python, JavaScript and Go import them whether the
/// plugin uses them or not. They are always linked, and there is nothing behind them but what `env` and `dirs` grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// `dockbell:plugin/state`: to keep something across restarts.
    State,
    /// `wasi:http`: to make web requests.
    Http,
}

impl Ask {
    /// All of them.
    pub(super) const ALL: [Self; 2] = [Self::State, Self::Http];

    /// Whether an import of this name asks for it.
    pub(super) fn is_import(self, name: &str) -> bool {
        match self {
            Self::State => name.strip_prefix(PACKAGE).is_some_and(|name| name.starts_with("/state@")),
            Self::Http => name.starts_with("wasi:http/"),
        }
    }

    /// What a plugin does with it.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::State => "keep data across restarts",
            Self::Http => "make web requests",
        }
    }

    /// The line of the plugin's table that grants it.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::State => "state = \"64 KiB\"",
            Self::Http => "http = [\"https://api.example.com\"]",
        }
    }

    /// Whether it is granted.
    #[must_use]
    pub const fn is_granted(self, grants: &Grants) -> bool {
        match self {
            Self::State => grants.state.is_some(),
            Self::Http => grants.http.is_some(),
        }
    }
}
