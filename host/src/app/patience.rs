//! Waits for a store that has no room at present.

use std::time::Duration;

use crate::store::StoreError;

/// The first and the longest wait.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// Asks the store until it does what it is asked for.
///
/// # Errors
/// One that does not pass: the store is broken or closed.
pub(super) async fn wait<T, F: Future<Output = Result<T, StoreError>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let [mut wait, longest] = WAITS;
    let mut told = false;
    loop {
        match ask().await {
            Err(error) if error.is_passing() => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!("waiting for the store: {error}");
                }
            }
            done => return done,
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
}
