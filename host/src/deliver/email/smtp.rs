//! One mail to its recipients in one transaction.

use std::sync::Arc;

use lettre::Address;

use super::connection::Connection;
use super::error::{Cause, SmtpError, Stage};
use crate::deliver::{Attempt, Failure, Sealed};

/// What a transaction came to.
pub(super) enum Transaction {
    /// The server did not take MAIL; no recipient was named.
    NotBegun(SmtpError),
    /// Each recipient has a result; the connection may be used for another mail if `reusable`.
    Ended { attempt: Attempt, reusable: bool },
}

/// Sends a mail to those who have not got it: names all, and goes on with those that the server takes.
pub(super) async fn send(connection: &mut Connection, from: Address, sealed: &Sealed) -> Transaction {
    let utf8 = connection.takes_utf8() && sealed.pending.iter().any(|to| !to.is_ascii());
    if let Err(error) = connection.mail(from, utf8).await {
        return Transaction::NotBegun(error);
    }
    let mut taken = Vec::new();
    let mut attempt = Attempt::default();
    let mut pending = sealed.pending.iter();
    while let Some(to) = pending.next() {
        match name(connection, to).await {
            Ok(()) => taken.push(Arc::clone(to)),
            Err(error) if error.of_one_recipient() => {
                attempt.failed.push((Arc::clone(to), error.failure()));
            }
            Err(error) => {
                // The connection is gone: all whose result is not known yet share its failure.
                let failure = error.failure();
                let others = taken.iter().chain([to]).chain(pending);
                attempt.failed.extend(others.map(|to| (Arc::clone(to), failure.clone())));
                return Transaction::Ended { attempt, reusable: false };
            }
        }
    }
    if taken.is_empty() {
        let reusable = connection.reset().await.is_ok();
        return Transaction::Ended { attempt, reusable };
    }
    match connection.data(&sealed.bytes).await {
        Ok(()) => {
            attempt.accepted = taken;
            Transaction::Ended { attempt, reusable: true }
        }
        Err(error) => {
            let failure: Failure = error.failure();
            attempt.failed.extend(taken.into_iter().map(|to| (to, failure.clone())));
            Transaction::Ended { attempt, reusable: false }
        }
    }
}

async fn name(connection: &mut Connection, to: &str) -> Result<(), SmtpError> {
    if !to.is_ascii() && !connection.takes_utf8() {
        return Err(connection.error(Stage::Rcpt, Cause::NoUtf8 { recipient: to.to_owned() }));
    }
    // It was read from a configuration by the same rules.
    let address =
        to.parse().map_err(|_| connection.error(Stage::Rcpt, Cause::Unfit(format!("not a mail address: {to}"))))?;
    connection.rcpt(address).await
}
