//! What a refusal speaks of, by its enhanced status code (RFC 3463) and by the words of the servers in use.

/// What a refusal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// The recipient's mailbox, or nothing that is known.
    Mailbox,
    /// The name in EHLO.
    Name,
    /// This machine, its address, or a missing login.
    Client,
    /// The sender.
    Sender,
    /// The server itself, or the order of the commands.
    Server,
}

/// Words that name the topic, in lower case; the first that is found counts. They are those of Postfix (`smtpd_check.c`), Exim
/// (`acl.c` and its default configuration), sendmail (`check_rcpt`) and Exchange.
const WORDS: [(&str, Topic); 14] = [
    ("recipient address rejected", Topic::Mailbox),
    ("greylist", Topic::Mailbox),
    ("graylist", Topic::Mailbox),
    ("helo command", Topic::Name),
    ("helo name", Topic::Name),
    ("ehlo", Topic::Name),
    ("sender address", Topic::Sender),
    ("sender verify", Topic::Sender),
    ("client host", Topic::Client),
    ("client was not authenticated", Topic::Client),
    ("relay", Topic::Client),
    ("authentication required", Topic::Client),
    ("authenticate", Topic::Client),
    ("blocked using", Topic::Client),
];

/// Returns what a refusal with this code and text speaks of.
pub(super) fn topic(code: u16, words: &str) -> Topic {
    let enhanced = enhanced(words);
    // Addressing of the recipient, state of its mailbox.
    if let Some([_, 1, 1..=6] | [_, 2, _]) = enhanced {
        return Topic::Mailbox;
    }
    let lower = without_addresses(words).to_lowercase();
    if let Some((_, topic)) = WORDS.iter().find(|(known, _)| lower.contains(known)) {
        return *topic;
    }
    match (enhanced, code) {
        (Some([_, 1, 7 | 8]), _) => Topic::Sender,
        // Addressing, routing, too many recipients.
        (Some([_, 1 | 4, _] | [_, 5, 3]), _) => Topic::Mailbox,
        (Some([5, 7, _]), _) | (_, 530 | 534 | 535 | 538) => Topic::Client,
        // A policy that passes is most often a greylist, which is one recipient's.
        (Some([4, 7, _]), _) => Topic::Mailbox,
        (Some([_, 3, _]), _) | (_, 500 | 502 | 503 | 554) => Topic::Server,
        (_, 504) => Topic::Name,
        _ => Topic::Mailbox,
    }
}

/// Returns a text without what stands in angle brackets, which is an address or a host name.
fn without_addresses(words: &str) -> String {
    let mut parts = words.split('<');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('>').map_or(part, |(_, rest)| rest))
}

/// Returns the enhanced status code at the beginning of a text: class, subject, detail.
fn enhanced(words: &str) -> Option<[u16; 3]> {
    let code = words.split([' ', '\t']).next()?;
    let mut parts = code.split('.').map(|part| part.parse::<u16>().ok());
    let code = [parts.next()??, parts.next()??, parts.next()??];
    (parts.next().is_none() && matches!(code[0], 4 | 5)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_known_servers_are_read_by_what_they_speak_of() {
        for (topic, replies) in [
            (
                Topic::Name,
                &[
                    "504 5.5.2 <web-1>: Helo command rejected: need fully-qualified hostname",
                    "450 4.7.1 <web-1>: Helo command rejected: Host not found",
                    "550 Invalid EHLO domain",
                    "504 need a full name",
                ][..],
            ),
            (
                Topic::Client,
                &[
                    "554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied",
                    "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.7]",
                    "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org",
                    "554 5.7.1 <ops@example.com>: Relay access denied",
                    "454 4.7.1 <ops@example.com>: Relay access denied",
                    "550 relay not permitted",
                    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
                    "530 5.7.57 Client not authenticated to send mail",
                    "550 5.7.1 not allowed",
                    "535 log in",
                ],
            ),
            (
                Topic::Sender,
                &[
                    "553 5.7.1 <bell@example.com>: Sender address rejected: not owned by user ops",
                    "450 4.1.8 <bell@vm>: Sender address rejected: Domain not found",
                    "550 Sender verify failed",
                    "550 5.1.8 who are you?",
                ],
            ),
            (Topic::Server, &["554 no", "503 5.5.1 bad sequence", "452 4.3.1 no room", "451 4.3.0 lookup failed"]),
            (
                Topic::Mailbox,
                &[
                    "550 5.1.1 no such user",
                    "550 no such user here",
                    "551 moved away",
                    "552 5.2.2 over quota",
                    "553 not a mailbox",
                    "450 4.2.0 <ops@example.com>: Recipient address rejected: Greylisted",
                    "451 4.7.1 come back later",
                    "550 5.4.1 Recipient address rejected: Access denied",
                    "554 5.7.1 <ops@example.com>: Recipient address rejected: Access denied",
                    "504 5.5.2 <ops@host>: Recipient address rejected: need fully-qualified address",
                    "452 4.5.3 too many recipients",
                    "501 5.1.3 bad syntax",
                    "550 5.1.1 relay says: no such user",
                    "550 <ops@relay.example.com>: unknown",
                    "550 \u{fffd}\u{fffd}\u{fffd}",
                ],
            ),
        ] {
            for reply in replies {
                let (code, words) = reply.split_once(' ').unwrap();
                assert_eq!(super::topic(code.parse().unwrap(), words), topic, "{reply}");
            }
        }
    }
}
