//! What a plugin asks of an event.

use crate::Event;

impl Event {
    /// The value of an attribute. A container's labels are among the attributes, so whoever builds an image can forge
    /// each but `name` and `image`.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        value(&self.attributes, name)
    }

    /// The value of a fact that dockbell found out itself, such as `cause`; no label can forge it.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        value(&self.facts, name)
    }

    /// Who the event is about, for people: the name, else the fact `identity`, else the id, of which a digest is cut to
    /// 12 digits. Not yet made safe to show: see [`clean`](crate::text::clean).
    #[must_use]
    pub fn who(&self) -> &str {
        self.attribute("name").or_else(|| self.fact("identity")).unwrap_or_else(|| short_id(&self.actor_id))
    }
}

/// The first 12 digits of an engine's id (64 hexadecimal digits, perhaps behind `sha256:`), as `docker ps` shows it. What
/// is not such an id is left as it is: the id of a volume is its name.
#[must_use]
pub fn short_id(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    let is_digest = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_digest { &digits[..12] } else { id }
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_label_cannot_forge_a_fact() {
        let event = Event { attributes: pairs(&[("cause", "finished")]), ..Event::default() };
        assert_eq!(event.attribute("cause"), Some("finished"));
        assert_eq!(event.fact("cause"), None);
    }

    #[test]
    fn who_is_the_name_then_the_identity_then_a_short_id() {
        let digest = "3f2a".repeat(16);
        for (id, who) in [
            (digest.as_str(), "3f2a3f2a3f2a"),
            (&format!("sha256:{digest}"), "3f2a3f2a3f2a"),
            ("shop_database_data", "shop_database_data"),
            ("", ""),
        ] {
            assert_eq!(Event { actor_id: id.to_owned(), ..Event::default() }.who(), who);
        }
        let mut event = Event { actor_id: digest, facts: pairs(&[("identity", "shop/web")]), ..Event::default() };
        assert_eq!(event.who(), "shop/web");
        event.attributes = pairs(&[("name", "shop-web-1")]);
        assert_eq!(event.who(), "shop-web-1");
    }
}
