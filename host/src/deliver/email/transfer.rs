//! Sends the bytes of a message, block by block.

use std::borrow::Cow;

use super::error::{Cause, Stage};
use super::reply::Reply;
use super::server::Server;
use super::wire::Wire;

/// What is sent in one piece, with one limit.
const BLOCK: usize = 16 << 10;
/// Longest line without its end (RFC 5321 section 4.5.3.1.6).
const LINE: usize = 998;

/// Sends a message after DATA, and waits for the server's reply to its end: each block and the reply have a limit of their
/// own. A reply that comes before the end was sent is a refusal, or nothing at all; it never says that the server has the mail.
pub(super) async fn send(wire: &mut Wire, server: &Server, mail: &[u8]) -> Result<Reply, (Stage, Cause)> {
    fit(mail).map_err(|error| (Stage::Body, Cause::Unfit(error)))?;
    for block in stuffed(mail).chunks(BLOCK) {
        let sent = server.stage(Stage::Body, server.limits.block, wire.send(block)).await;
        sent.map_err(|cause| (Stage::Body, refusal(cause)))?;
    }
    let end = async {
        wire.send(b".\r\n").await?;
        wire.reply().await
    };
    match server.stage(Stage::Accept, server.limits.accept, end).await {
        Err(cause @ Cause::Unasked { .. }) => Err((Stage::Body, refusal(cause))),
        ended => ended.map_err(|cause| (Stage::Accept, cause)),
    }
}

/// A server may refuse a message before it has read all of it, such as one that is too big.
fn refusal(cause: Cause) -> Cause {
    match cause {
        Cause::Unasked { code, words } if code >= 400 => Cause::No { code, words },
        cause => cause,
    }
}

/// Returns whether a mail may be sent: a CR or LF of its own, taken for a line end by one server and not by the next, would
/// let a message hide another in it.
pub(super) fn fit(mail: &[u8]) -> Result<(), String> {
    let mut rest = mail;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or("the mail does not end with a line break")?;
        let line = rest[..end].strip_suffix(b"\r").ok_or("the mail has a line that ends with LF alone")?;
        if line.len() > LINE {
            return Err(format!("the mail has a line of {} bytes; {LINE} are allowed", line.len()));
        }
        if line.contains(&b'\r') || line.contains(&0) {
            return Err("the mail has a CR or NUL within a line".to_owned());
        }
        rest = &rest[end + 1..];
    }
    Ok(())
}

/// Doubles the dot at the beginning of a line, so that none ends the message (RFC 5321 section 4.5.2).
fn stuffed(mail: &[u8]) -> Cow<'_, [u8]> {
    if !mail.starts_with(b".") && !mail.windows(2).any(|pair| pair == b"\n.") {
        return Cow::Borrowed(mail);
    }
    let mut stuffed = Vec::with_capacity(mail.len() + mail.len() / 64);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    Cow::Owned(stuffed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_of_at_most_998_bytes_are_sent() {
        assert_eq!(fit(b"Subject: a\r\n\r\n.\r\n"), Ok(()));
        assert_eq!(fit(&[vec![b'x'; 998], b"\r\n".to_vec()].concat()), Ok(()));
        let long = [vec![b'x'; 999], b"\r\n".to_vec()].concat();
        for mail in [&b"a\nb\r\n"[..], b"a\rb\r\n", b"a\r\n.\n", b"a\0\r\n", b"a", b"a\r\r\n", &long] {
            assert!(fit(mail).is_err(), "{}", mail.escape_ascii());
        }
    }

    #[test]
    fn a_dot_at_the_beginning_of_a_line_is_doubled() {
        for (mail, sent) in [
            (&b"a.b\r\nc.\r\n"[..], &b"a.b\r\nc.\r\n"[..]),
            (b".\r\n", b"..\r\n"),
            (b"a\r\n.\r\n..b\r\n", b"a\r\n..\r\n...b\r\n"),
        ] {
            assert_eq!(&*stuffed(mail), sent);
        }
    }
}
