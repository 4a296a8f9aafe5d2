//! How long each stage of a delivery may take.

use std::time::Duration;

/// How long each stage of a delivery may take. The defaults are those of RFC 5321 section 4.5.3.2 where it names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Finding the address and connecting: 30 s.
    pub connect: Duration,
    /// TLS handshake with the first byte: 30 s.
    pub tls: Duration,
    /// Greeting and EHLO together: 300 s.
    pub greeting: Duration,
    /// A command: MAIL, RCPT, STARTTLS with its handshake, RSET, and a login with all its steps: 300 s.
    pub command: Duration,
    /// The answer to DATA: 120 s.
    pub data: Duration,
    /// Each 16 KiB of the message: 180 s.
    pub block: Duration,
    /// The answer to the message. Shorter than the 10 min of the RFC means sending twice what the server was about to
    /// accept: 600 s.
    pub accept: Duration,
    /// The answer to QUIT, of which nothing depends: 2 s.
    pub quit: Duration,
    /// How long a connection is kept for the next message: 5 s.
    pub warm: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            tls: Duration::from_secs(30),
            greeting: Duration::from_mins(5),
            command: Duration::from_mins(5),
            data: Duration::from_mins(2),
            block: Duration::from_mins(3),
            accept: Duration::from_mins(10),
            quit: Duration::from_secs(2),
            warm: Duration::from_secs(5),
        }
    }
}
