//! A component in an OCI registry.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use super::HttpUrl;
use super::digest::Sha256;
use super::problem::Mistake;

const FORMS: &str = "such as `oci://registry.example.com/owner/name@sha256:…`";

/// Longest name of a repository, and of a tag (OCI distribution specification 1.1).
const LONGEST: [usize; 2] = [255, 128];

/// Where a component is in a registry, and which one it is: `oci://REGISTRY/REPOSITORY@sha256:DIGEST`, the digest being that
/// of the manifest. A tag before the `@` is for people. `oci+http://` is without TLS, and so is `oci://` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    scheme: &'static str,
    registry: Url,
    repository: String,
    tag: Option<String>,
    digest: Option<Sha256>,
}

impl Reference {
    /// Whether a text is meant to be one.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("oci://") || text.starts_with("oci+http://")
    }

    /// The digest of the manifest; none where a tag alone is named, which may be another component tomorrow.
    #[must_use]
    pub const fn digest(&self) -> Option<Sha256> {
        self.digest
    }

    /// The same with this digest.
    #[must_use]
    pub fn pinned(&self, digest: Sha256) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Host and port of the registry, as a login names it.
    #[must_use]
    pub fn registry(&self) -> String {
        let host = self.registry.host_str().unwrap_or_default();
        self.registry.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The repository within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Whether the registry is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.registry.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The URL of the manifest: by its digest, else by the tag.
    #[must_use]
    pub fn manifest(&self) -> HttpUrl {
        let tag = || self.tag.clone().unwrap_or_else(|| "latest".to_owned());
        let name = self.digest.map_or_else(tag, |digest| format!("sha256:{digest}"));
        self.url(&format!("manifests/{name}"))
    }

    /// The URL of a blob.
    #[must_use]
    pub fn blob(&self, digest: Sha256) -> HttpUrl {
        self.url(&format!("blobs/sha256:{digest}"))
    }

    fn url(&self, rest: &str) -> HttpUrl {
        let mut url = self.registry.clone();
        url.set_path(&format!("/v2/{}/{rest}", self.repository));
        HttpUrl::from(url)
    }
}

impl FromStr for Reference {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let wrong = |what: &str| Mistake::new(what, FORMS);
        let (scheme, rest) = match (text.strip_prefix("oci://"), text.strip_prefix("oci+http://")) {
            (Some(rest), _) => ("oci", rest),
            (None, Some(rest)) => ("oci+http", rest),
            (None, None) => return Err(wrong("does not begin with `oci://`")),
        };
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.strip_prefix("sha256:").ok_or_else(|| wrong("has no `sha256:` behind the `@`"))?;
                (name, Some(digest.parse()?))
            }
            None => (rest, None),
        };
        let (registry, path) = name.split_once('/').ok_or_else(|| wrong("names no repository"))?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if !is_repository(repository) {
            return Err(wrong("has no valid repository: small letters, digits, `.`, `_`, `-` and `/`"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("has no valid tag"));
        }
        let parsed = |scheme: &str| Url::parse(&format!("{scheme}://{registry}/"));
        let registry = parsed("https").map_err(|_| wrong("has no valid registry"))?;
        let is_host = registry.host().is_some() && registry.username().is_empty() && registry.password().is_none();
        if !is_host || registry.path() != "/" || registry.query().is_some() || registry.port() == Some(0) {
            return Err(wrong("has no valid registry"));
        }
        let tag = tag.map(str::to_owned);
        let mut reference = Self { scheme, registry, repository: repository.to_owned(), tag, digest };
        if scheme == "oci+http" || reference.is_loopback() {
            // Parsed anew: the default port is another one.
            reference.registry = parsed("http").map_err(|_| wrong("has no valid registry"))?;
        }
        Ok(reference)
    }
}

/// The form that [`Reference::from_str`] reads.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme, self.registry(), self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@sha256:{digest}"))
    }
}

fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|c| edge(c) || matches!(c, '.' | '_' | '-'))
    };
    name.len() <= LONGEST[0] && name.split('/').all(is_part)
}

fn is_tag(tag: &str) -> bool {
    let first = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    first && tag.len() <= LONGEST[1] && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> String {
        "ab".repeat(32)
    }

    #[test]
    fn references_are_shown_as_they_are_read() {
        for name in [
            "registry.example.com/owner/name",
            "registry.example.com/o/n:1.0",
            "localhost:5000/n",
            "[::1]:5000/n",
            "10.0.0.1/a/b/c",
        ] {
            for text in [format!("oci://{name}@sha256:{}", digest()), format!("oci+http://{name}")] {
                assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
            }
        }
    }

    #[test]
    fn the_manifest_is_asked_for_by_its_digest_with_tls_but_on_this_machine() {
        let of = |text: &str| {
            let url = text.parse::<Reference>().unwrap().manifest();
            format!("{url}{}", url.path_and_query())
        };
        let by_digest = format!("/v2/o/n/manifests/sha256:{}", digest());
        assert_eq!(
            of(&format!("oci://registry.example.com/o/n:1@sha256:{}", digest())),
            format!("https://registry.example.com{by_digest}")
        );
        assert_eq!(
            of(&format!("oci://localhost:5000/o/n@sha256:{}", digest())),
            format!("http://localhost:5000{by_digest}")
        );
        assert_eq!(of("oci+http://registry/o/n"), "http://registry/v2/o/n/manifests/latest");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "oci://",
            "oci:///n",
            "oci://host",
            "oci://host/",
            "oci://host/UPPER",
            "oci://host/a//b",
            "oci://host/../b",
            "oci://user:pw@host/n",
            "oci://host:0/n",
            "oci://host/n:",
            "oci://host/n@sha512:ab",
            "oci://host/n@sha256:ab",
            "oci://host/n?x",
            "oci://a b/n",
            "https://host/n",
        ] {
            assert!(text.parse::<Reference>().unwrap_err().hint.is_some(), "{text}");
        }
    }
}
