//! Mail addresses as people write them, made fit for headers and commands.

use lettre::Address;
use lettre::message::Mailbox;

use super::error::EmailError;
use crate::text;

/// Longest display name.
const NAME: usize = 200;

/// The sender; what stands before its `@` must be ASCII, since each server has to take it.
pub(super) fn sender(text: &str) -> Result<Mailbox, EmailError> {
    let mailbox = recipient(text)?;
    if is_ascii(&mailbox) { Ok(mailbox) } else { Err(EmailError::Sender { address: text::one_line(text, NAME) }) }
}

/// A recipient: `Name <address>` or an address. An international domain gets its ASCII form.
pub(super) fn recipient(text: &str) -> Result<Mailbox, EmailError> {
    let wrong = || EmailError::Address { address: text::one_line(text, NAME) };
    if text.chars().any(char::is_control) {
        return Err(wrong());
    }
    let mailbox: Mailbox = text.trim().parse().map_err(|_| wrong())?;
    let domain = match url::Host::parse(mailbox.email.domain()) {
        Ok(url::Host::Domain(domain)) => domain,
        // Addresses in brackets, and what only mail allows, stay as they are.
        _ => mailbox.email.domain().to_owned(),
    };
    let email = Address::new(mailbox.email.user(), &domain).map_err(|_| wrong())?;
    // lettre gives up on a name with CR, LF or NUL; a cleaned one has none.
    let name = mailbox.name.map(|name| text::one_line(&name, NAME)).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, email))
}

/// Whether every server takes the address.
pub(super) fn is_ascii(mailbox: &Mailbox) -> bool {
    AsRef::<str>::as_ref(&mailbox.email).is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_international_domain_gets_its_ascii_form() {
        assert_eq!(recipient("ops@müller.example").unwrap().email.to_string(), "ops@xn--mller-kva.example");
    }

    #[test]
    fn a_name_is_kept() {
        let mailbox =
            sender("Ops, night shift <ops@example.com>").or_else(|_| sender("\"Ops, night\" <ops@example.com>"));
        assert!(mailbox.unwrap().name.unwrap().starts_with("Ops, night"));
    }

    #[test]
    fn a_host_without_a_dot_is_a_domain() {
        assert_eq!(sender("dockbell@web1").unwrap().email.to_string(), "dockbell@web1");
    }

    #[test]
    fn nothing_can_be_smuggled_into_a_command() {
        for text in [
            "ops@example.com\r\nRCPT TO:<evil@example.com>",
            "ops@example.com>\r\nDATA",
            "Ops\r\nBcc: evil@example.com <ops@example.com>",
            "Ops\0 <ops@example.com>",
            "ops@exam ple.com",
            "ops@example.com> SIZE=1",
            "ops",
            "@example.com",
            "",
        ] {
            assert!(recipient(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_sender_must_be_ascii_before_the_at() {
        assert!(recipient("jürgen@example.com").is_ok());
        let error = sender("jürgen@example.com").unwrap_err();
        assert!(error.to_string().contains("hint:"), "{error}");
    }
}
