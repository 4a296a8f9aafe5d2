//! SIGTERM, SIGINT and SIGHUP.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT. The second one ends the program at once, with the exit code
/// that a shell expects of it.
///
/// # Errors
/// When the system does not let signals be caught.
pub(super) fn stop_token() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            let (name, code) = tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 143),
                _ = interrupt.recv() => ("SIGINT", 130),
            };
            if cancelled.is_cancelled() {
                tracing::error!("{name} again: ending at once, what is not delivered yet is lost");
                std::process::exit(code);
            }
            tracing::info!("{name}: telling what is open, then ending");
            cancelled.cancel();
        }
    });
    Ok(token)
}

/// SIGHUP, which from now on does not end the program.
///
/// # Errors
/// When the system does not let signals be caught.
pub(super) fn hangup() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}
