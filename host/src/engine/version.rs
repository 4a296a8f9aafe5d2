//! Which version of the API to speak.

use std::fmt;
use std::str::FromStr;

/// A version of the engine API, such as 1.41.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u16,
    /// What grows with each release.
    pub minor: u16,
}

/// The newest API that dockbell knows: Docker 29.2.
pub const NEWEST_KNOWN: ApiVersion = ApiVersion { major: 1, minor: 53 };
/// The oldest API that dockbell is tested with: Docker 20.10, Podman 4.
pub const OLDEST_KNOWN: ApiVersion = ApiVersion { major: 1, minor: 41 };

impl ApiVersion {
    /// The version to ask for, where the engine serves `min` to `max`: the newest that both know. None when the engine has
    /// already forgotten all that dockbell knows; then only a path without a version can work.
    #[must_use]
    pub fn spoken(min: Option<Self>, max: Self) -> Option<Self> {
        let version = max.min(NEWEST_KNOWN);
        min.is_none_or(|min| min <= version).then_some(version)
    }

    /// Nothing that is older than [`OLDEST_KNOWN`] was tried.
    #[must_use]
    pub fn is_untested(self) -> bool {
        self < OLDEST_KNOWN
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Not a version of the form `1.41`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API version such as 1.41")]
pub struct NotAVersion;

impl FromStr for ApiVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let (major, minor) = text.trim().split_once('.').ok_or(NotAVersion)?;
        let number = |text: &str| text.parse().map_err(|_| NotAVersion);
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(min: Option<&str>, max: &str) -> Option<String> {
        let version = |text: &str| text.parse::<ApiVersion>().unwrap();
        ApiVersion::spoken(min.map(version), version(max)).map(|version| version.to_string())
    }

    #[test]
    fn the_newest_version_that_both_know_is_spoken() {
        assert_eq!(spoken(Some("1.12"), "1.41").as_deref(), Some("1.41"), "Docker 20.10");
        assert_eq!(spoken(Some("1.44"), "1.52").as_deref(), Some("1.52"), "Docker 29");
        assert_eq!(spoken(Some("1.44"), "1.60").as_deref(), Some("1.53"), "an engine of the future");
        assert_eq!(spoken(None, "1.9").as_deref(), Some("1.9"), "minor versions are numbers");
    }

    #[test]
    fn an_engine_that_forgot_all_we_know_is_asked_without_a_version() {
        assert_eq!(spoken(Some("1.60"), "1.70"), None);
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in ["", "1", "v1.41", "1.41.2", "1.-1", "one.two"] {
            assert_eq!(text.parse::<ApiVersion>(), Err(NotAVersion), "{text:?}");
        }
    }
}
