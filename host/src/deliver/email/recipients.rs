//! Who gets a mail, and which of them its header names.

use lettre::message::header::{HeaderName, HeaderValue, Headers, To};
use lettre::message::{Mailbox, Mailboxes};

use super::address::is_ascii;

/// Most recipients that the header names. Nobody reads more, and a server may refuse a header that is too long.
const SHOWN: usize = 50;
/// Most bytes of the field `To`, folded.
const BYTES: usize = 8 << 10;

/// The recipients of a sink: each once, in the order of the configuration.
#[derive(Debug)]
pub(super) struct Recipients {
    all: Vec<Mailbox>,
    to: String,
    unnamed: usize,
}

impl Recipients {
    /// Drops whoever is listed a second time: they would get each mail twice.
    pub(super) fn new(listed: impl IntoIterator<Item = Mailbox>) -> Self {
        let mut known = std::collections::HashSet::new();
        let all: Vec<Mailbox> = listed.into_iter().filter(|mailbox| known.insert(mailbox.email.clone())).collect();
        let (to, unnamed) = to(&all);
        Self { all, to, unnamed }
    }

    /// Returns all of them.
    pub(super) fn all(&self) -> &[Mailbox] {
        &self.all
    }

    /// Returns the fields of the header that name the recipients: `To`, and where it does not name all of them
    /// `X-Dockbell-Recipients`, which says how many there are.
    pub(super) fn headers(&self) -> impl Iterator<Item = HeaderValue> {
        let to = HeaderValue::dangerous_new_pre_encoded(
            HeaderName::new_from_ascii_str("To"),
            self.to.clone(),
            self.to.clone(),
        );
        let count = (self.unnamed > 0).then(|| {
            let name = HeaderName::new_from_ascii_str("X-Dockbell-Recipients");
            HeaderValue::new(name, format!("{}, of whom {} are not named in To", self.all.len(), self.unnamed))
        });
        std::iter::once(to).chain(count)
    }
}

/// Returns the value of the field `To`, and how many recipients it does not name.
///
/// The recipients see each other: the first [`SHOWN`] as far as they fit into [`BYTES`], one a line (RFC 5322 sections 2.2.3
/// and 3.4). Left out are addresses that are not ASCII too, since a header with one could not be sent through a server that
/// takes only ASCII. All of them get the mail.
fn to(all: &[Mailbox]) -> (String, usize) {
    let mut to = String::new();
    let mut named = 0;
    for mailbox in all.iter().filter(|mailbox| is_ascii(mailbox)).take(SHOWN) {
        let address = encoded(mailbox);
        let separator = if to.is_empty() { "" } else { ",\r\n " };
        if to.len() + separator.len() + address.len() > BYTES {
            break;
        }
        to.push_str(separator);
        to.push_str(&address);
        named += 1;
    }
    if to.is_empty() {
        to.push_str("undisclosed-recipients:;");
        // An empty group names nobody and hides nothing.
        return (to, 0);
    }
    (to, all.len() - named)
}

/// Returns a mailbox as it stands in a header: its name quoted or encoded (RFC 2047), folded where it is long.
fn encoded(mailbox: &Mailbox) -> String {
    let mut headers = Headers::new();
    headers.set(To::from(Mailboxes::from(mailbox.clone())));
    let line = headers.to_string();
    line.strip_prefix("To: ").unwrap_or(&line).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipients(listed: impl IntoIterator<Item = String>) -> Recipients {
        Recipients::new(listed.into_iter().map(|text| super::super::address::recipient(&text).unwrap()))
    }

    #[test]
    fn each_stands_on_a_line_of_its_own() {
        let two = recipients(["ops@example.com".to_owned(), "\"Ops, night\" <night@example.com>".to_owned()]);
        let header: Vec<String> = two.to.split("\r\n").map(str::to_owned).collect();
        assert_eq!(header.len(), 2, "{header:?}");
        assert_eq!(header[0], "ops@example.com,");
        assert!(header[1].starts_with(' ') && header[1].ends_with("<night@example.com>"), "{header:?}");
        assert_eq!(two.headers().count(), 1);
    }

    #[test]
    fn the_first_are_named_and_the_rest_is_counted() {
        let many = recipients((0..500).map(|number| format!("somebody-{number:03}@example.com")));
        assert_eq!((many.all().len(), many.unnamed, many.to.lines().count()), (500, 450, 50));
        let long = |number| format!("\"{}\" <{number:03}@{}.example.com>", "ä".repeat(100), "d".repeat(60));
        let long = recipients((0..50).map(long));
        assert!(long.to.len() <= BYTES && long.unnamed > 0 && long.unnamed < 50, "{long:?}");
        assert!(long.to.split("\r\n").all(|line| line.len() <= 998));
    }

    #[test]
    fn somebody_listed_twice_is_one_recipient() {
        let twice = recipients(["Ops <ops@example.com>", "ops@EXAMPLE.com", "ops@example.com"].map(str::to_owned));
        assert_eq!(twice.all().len(), 1);
        assert_eq!(twice.all()[0].name.as_deref(), Some("Ops"));
    }

    #[test]
    fn where_no_address_is_ascii_none_is_named() {
        let foreign = recipients(["jürgen@example.com".to_owned()]);
        assert_eq!((foreign.to.as_str(), foreign.unnamed), ("undisclosed-recipients:;", 0));
    }
}
