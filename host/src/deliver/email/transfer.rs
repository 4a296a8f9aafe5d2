//! Sends the bytes of a message, block by block.

use std::slice::Chunks;
use std::sync::{Mutex, PoisonError};

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use tokio::time::{Instant, sleep_until};

use super::error::{Cause, Stage};
use super::limits::Limits;

/// What is sent in one piece, with one limit.
const BLOCK: usize = 16 << 10;
/// Longest line without its end (RFC 5321 section 4.5.3.1.6).
const LINE: usize = 998;

/// How far the sending is.
struct Progress(Mutex<(Stage, Instant)>);

impl Progress {
    fn get(&self) -> (Stage, Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (stage, Instant::now());
    }
}

/// Blocks that note when they are taken: the next is asked for when the one before was written, and the end when all was.
struct Blocks<'a> {
    left: Chunks<'a, u8>,
    progress: &'a Progress,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.left.next();
        self.progress.set(if block.is_some() { Stage::Body } else { Stage::Accept });
        block
    }
}

/// Sends a message after DATA, and waits for the server's answer to it: each block and the answer have a limit of their
/// own. The last line break is lettre's, which ends each message with one.
pub(super) async fn send(
    smtp: &mut AsyncSmtpConnection,
    mail: &[u8],
    limits: &Limits,
) -> Result<Response, (Stage, Cause)> {
    fit(mail).map_err(|error| (Stage::Body, Cause::Unfit(error)))?;
    let mail = mail.strip_suffix(b"\r\n").unwrap_or(mail);
    let progress = Progress(Mutex::new((Stage::Body, Instant::now())));
    let blocks = Blocks { left: mail.chunks(BLOCK), progress: &progress };
    let sending = smtp.message_iter(blocks);
    tokio::pin!(sending);
    loop {
        let (stage, since) = progress.get();
        let limit = if stage == Stage::Accept { limits.accept } else { limits.block };
        tokio::select! {
            answer = &mut sending => return answer.map_err(|error| (progress.get().0, Cause::of(&error))),
            () = sleep_until(since + limit), if progress.get() == (stage, since) => {
                if progress.get() == (stage, since) {
                    return Err((stage, Cause::Late(limit)));
                }
            }
        }
    }
}

/// Whether a mail may be sent: a CR or LF of its own, taken for a line end by one server and not by the next, would let a
/// message hide another in it.
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
}
