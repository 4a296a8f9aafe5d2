//! How long a request may take, and how much its answer may hold.

use std::time::Duration;

/// How long each part of a request may take, and how much of an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Finding the address and connecting: 10 s.
    pub connect: Duration,
    /// TLS handshake: 10 s.
    pub tls: Duration,
    /// The whole request, up to the head of its answer: 30 s (Standard Webhooks: 15 to 30 s).
    pub whole: Duration,
    /// The body of the answer, of which little depends: 5 s.
    pub body: Duration,
    /// Most bytes of the body that are read: 64 KiB.
    pub body_bytes: usize,
    /// Most bytes of the head of the answer: 16 KiB; at least 8 KiB.
    pub head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            whole: Duration::from_secs(30),
            body: Duration::from_secs(5),
            body_bytes: 64 << 10,
            head_bytes: 16 << 10,
        }
    }
}
