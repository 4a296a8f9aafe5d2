//! What a mail server offers in its reply to EHLO.

use super::reply::Reply;
use crate::text;

/// Most bytes of the list of logins that are repeated.
const SHOWN: usize = 200;

/// What a mail server offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// STARTTLS (RFC 3207).
    pub(super) start_tls: bool,
    /// SMTPUTF8 (RFC 6531): addresses that are not ASCII.
    pub(super) utf8: bool,
    /// Names of login mechanisms, in upper case (RFC 4954).
    logins: Vec<String>,
}

impl Offers {
    /// Reads them. The first line names the server.
    pub(super) fn of(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines.iter().skip(1).map(|line| line.trim().to_ascii_uppercase()) {
            // Old servers write `AUTH=LOGIN`.
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => offers.start_tls = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("AUTH") => offers.logins.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        offers
    }

    /// Returns whether a login mechanism is offered.
    pub(super) fn login(&self, mechanism: &str) -> bool {
        self.logins.iter().any(|offered| offered == mechanism)
    }

    /// Returns the names of all login mechanisms, for people. Empty if there are none.
    pub(super) fn logins(&self) -> String {
        text::one_line(&self.logins.join(" "), SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Offers {
        Offers::of(&Reply { code: 250, lines: lines.iter().map(ToString::to_string).collect() })
    }

    #[test]
    fn logins_are_read_in_each_form_that_servers_write() {
        for line in ["AUTH GSSAPI LOGIN", "AUTH=GSSAPI LOGIN", "auth login  gssapi ", "AUTH=LOGIN"] {
            let offers = of(&["mx.example.com", line]);
            assert!(offers.login("LOGIN") && !offers.login("PLAIN"), "{line}");
        }
        assert_eq!(of(&["mx", "AUTH CRAM-MD5", "AUTH=NTLM"]).logins(), "CRAM-MD5 NTLM");
    }

    #[test]
    fn the_name_of_the_server_offers_nothing() {
        assert_eq!(of(&["STARTTLS", "8BITMIME", "XAUTH PLAIN", "STARTTLSX"]), Offers::default());
        assert!(of(&["mx", "starttls", "SMTPUTF8"]).start_tls);
    }
}
