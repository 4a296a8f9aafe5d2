//! What plugins say goes to dockbell's log, under their name and bounded.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use super::v0_1::logging::{self, Level};
use crate::text::one_line;

/// Lines kept of one call.
const LINES_PER_CALL: u32 = 64;
/// Bytes kept of one line.
const BYTES_PER_LINE: usize = 4096;

/// One plugin's voice in the log. Clones share the bound.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    plugin: Arc<str>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    lines: u32,
    swallowed: u64,
    last_error: Option<String>,
    partial: Vec<u8>,
}

impl Voice {
    pub(super) fn new(plugin: Arc<str>) -> Self {
        Self { plugin, state: Arc::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while it was held leaves nothing half done that matters here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one line, unless this call has said enough.
    pub(super) fn say(&self, level: Level, message: &str) {
        let message = one_line(message, BYTES_PER_LINE);
        let mut state = self.state();
        if matches!(level, Level::Error) {
            state.last_error = Some(message.clone());
        }
        if state.lines >= LINES_PER_CALL {
            state.swallowed += 1;
            return;
        }
        state.lines += 1;
        drop(state);
        self.write(level, &message);
    }

    fn write(&self, level: Level, message: &str) {
        let plugin = &*self.plugin;
        match level {
            Level::Trace => tracing::trace!(target: "plugin", plugin, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{message}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{message}"),
            Level::Warn | Level::Error => tracing::warn!(target: "plugin", plugin, "{message}"),
        }
    }

    /// Ends a call: says the rest of standard output and how much was swallowed, and hands out the last error line, which a
    /// trap's message wants.
    pub(super) fn end_call(&self) -> Option<String> {
        let rest = std::mem::take(&mut self.state().partial);
        if !rest.is_empty() {
            self.say(Level::Info, &String::from_utf8_lossy(&rest));
        }
        let mut state = self.state();
        let swallowed = std::mem::take(&mut state.swallowed);
        state.lines = 0;
        let last_error = state.last_error.take();
        drop(state);
        if swallowed > 0 {
            tracing::warn!(target: "plugin", plugin = &*self.plugin, "{swallowed} more log lines in one call were dropped");
        }
        last_error
    }
}

impl logging::Host for super::sandbox::Sandbox {
    fn log(&mut self, level: Level, message: String) {
        self.voice.say(level, &message);
    }
}

/// A guest's standard output and error: lines of the log.
#[derive(Debug, Clone)]
pub(super) struct StandardStream(pub(super) Voice);

impl IsTerminal for StandardStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StandardStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for StandardStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut lines = Vec::new();
        let mut state = self.0.state();
        for &byte in bytes {
            if byte == b'\n' {
                lines.push(std::mem::take(&mut state.partial));
            } else if state.partial.len() < BYTES_PER_LINE {
                state.partial.push(byte);
            }
        }
        drop(state);
        for line in lines {
            self.0.say(Level::Info, &String::from_utf8_lossy(&line));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
