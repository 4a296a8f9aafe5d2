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

    /// Who the event is about, for people: the name, else the fact `identity`, else the first 12 characters of the id.
    #[must_use]
    pub fn who(&self) -> &str {
        let id = self.actor_id.char_indices().nth(12).map_or(self.actor_id.as_str(), |(end, _)| &self.actor_id[..end]);
        self.attribute("name").or_else(|| self.fact("identity")).unwrap_or(id)
    }
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
        let mut event = Event { actor_id: "sha256:ä0123456789abcdef".into(), ..Event::default() };
        assert_eq!(event.who(), "sha256:ä0123");
        event.facts = pairs(&[("identity", "shop/web")]);
        assert_eq!(event.who(), "shop/web");
        event.attributes = pairs(&[("name", "shop-web-1")]);
        assert_eq!(event.who(), "shop-web-1");
        assert_eq!(Event { actor_id: "local".into(), ..Event::default() }.who(), "local");
    }
}
