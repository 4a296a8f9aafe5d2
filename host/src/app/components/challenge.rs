//! What a registry asks for before it gives anything: `WWW-Authenticate` (RFC 9110), as registries use it.

/// How one may prove who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With a token, which somebody else gives out, perhaps to everybody.
    Bearer {
        realm: String,
        /// `service` and `scope`, to be handed on.
        pairs: Vec<(String, String)>,
    },
    /// With a name and a password.
    Basic,
}

impl Challenge {
    /// The first one that is understood.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut pairs = pairs(rest);
        let realm = pairs.iter().position(|(name, _)| name == "realm").map(|place| pairs.remove(place).1)?;
        pairs.retain(|(name, _)| matches!(name.as_str(), "service" | "scope"));
        Some(Self::Bearer { realm, pairs })
    }
}

/// `name="value"`, separated by commas, of which there may be some within the quotes.
fn pairs(mut text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        pairs.push((name, value.trim().to_owned()));
        text = behind;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_where_the_registry_says() {
        let header = r#"Bearer realm="https://auth.example/token",service="registry.example", scope="repository:a/b:pull,push",error="x""#;
        let pairs = [("service", "registry.example"), ("scope", "repository:a/b:pull,push")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(
            Challenge::parse(header),
            Some(Challenge::Bearer { realm: "https://auth.example/token".to_owned(), pairs })
        );
        assert_eq!(Challenge::parse("basic realm=\"x\""), Some(Challenge::Basic));
        for other in ["", "Digest realm=\"x\"", "Bearer", "Bearer service=\"x\"", "Bearer realm"] {
            assert_eq!(Challenge::parse(other), None, "{other}");
        }
    }
}
