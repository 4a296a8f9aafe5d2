//! One mail to its recipients in one transaction.

use std::sync::Arc;

use lettre::Address;

use super::connection::Connection;
use super::error::{Cause, SmtpError, Stage};
use crate::deliver::{Attempt, Failure, Fault, Sealed};

/// What a transaction came to.
pub(super) enum Transaction {
    /// The server did not take MAIL; no recipient was named.
    NotBegun(SmtpError),
    /// Each recipient has a result; the connection may be used for another mail if `reusable`.
    Ended { attempt: Attempt, reusable: bool },
}

/// Recipients of one transaction, as the server answered RCPT.
#[derive(Default)]
struct Named {
    taken: Vec<Arc<str>>,
    refused: Vec<(Arc<str>, SmtpError)>,
}

/// Sends a mail to those who have not got it: names all, and goes on with those that the server takes. `recipients` is how
/// many the sink has.
pub(super) async fn send(
    connection: &mut Connection,
    from: &Address,
    sealed: &Sealed,
    recipients: usize,
) -> Transaction {
    let mut named = Named::default();
    if let Err((error, rest)) = begin(connection, from, &sealed.pending, &mut named).await {
        let Some(rest) = rest else { return Transaction::NotBegun(error) };
        // The connection is gone: all whose result is not known yet share its failure.
        let failure = error.failure();
        let mut attempt = named.attempt(recipients);
        let unknown = attempt.accepted.drain(..).chain(rest.iter().map(Arc::clone));
        attempt.failed.extend(unknown.map(|to| (to, failure.clone())));
        return Transaction::Ended { attempt, reusable: false };
    }
    let mut attempt = named.attempt(recipients);
    if attempt.accepted.is_empty() {
        let reusable = connection.reset().await.is_ok();
        return Transaction::Ended { attempt, reusable };
    }
    match connection.data(&sealed.bytes).await {
        Ok(()) => Transaction::Ended { attempt, reusable: true },
        Err(error) => {
            let failure = error.failure();
            attempt.failed.extend(attempt.accepted.drain(..).map(|to| (to, failure.clone())));
            Transaction::Ended { attempt, reusable: false }
        }
    }
}

/// Names sender and recipients as if there were a mail, and takes it all back. Returns what each recipient's result would be.
pub(super) async fn rehearse(
    connection: &mut Connection,
    from: &Address,
    to: &[Arc<str>],
) -> Result<Attempt, SmtpError> {
    let mut named = Named::default();
    begin(connection, from, to, &mut named).await.map_err(|(error, _)| error)?;
    connection.reset().await?;
    Ok(named.attempt(to.len()))
}

/// Names sender and recipients. Fails if the connection cannot be used further, with the recipients whose result is not
/// known; `None` if the server did not take MAIL.
async fn begin<'a>(
    connection: &mut Connection,
    from: &Address,
    to: &'a [Arc<str>],
    named: &mut Named,
) -> Result<(), (SmtpError, Option<&'a [Arc<str>]>)> {
    let utf8 = connection.offers.utf8 && to.iter().any(|to| !to.is_ascii());
    connection.mail(from, utf8).await.map_err(|error| (error, None))?;
    for (place, recipient) in to.iter().enumerate() {
        match name(connection, recipient).await {
            Ok(()) => named.taken.push(Arc::clone(recipient)),
            Err(error) if error.of_one_recipient() => named.refused.push((Arc::clone(recipient), error)),
            Err(error) => return Err((error, Some(&to[place..]))),
        }
    }
    Ok(())
}

impl Named {
    /// Returns what the replies mean. Servers that do not take mail from this machine, by this name or without a login, often
    /// say so at RCPT only (Postfix: `smtpd_delay_reject`). So if no recipient of the sink was taken, and no refusal speaks of a
    /// mailbox, it is the sink that does not work, and its messages wait.
    fn attempt(self, recipients: usize) -> Attempt {
        let of_session = self.taken.is_empty() && self.refused.iter().all(|(_, error)| error.speaks_of_session());
        // Where others have got this message before, the session works for them.
        let of_sink = of_session && self.refused.len() == recipients;
        let failed = self.refused.into_iter().map(|(to, error)| match error.failure() {
            failure if of_sink => (to, Failure { fault: Fault::Sink, lasting: false, ..failure }),
            failure if of_session => (to, Failure { lasting: false, ..failure }),
            failure => (to, failure),
        });
        Attempt { failed: failed.collect(), accepted: self.taken }
    }
}

async fn name(connection: &mut Connection, to: &str) -> Result<(), SmtpError> {
    if !to.is_ascii() && !connection.offers.utf8 {
        return Err(connection.error(Stage::Rcpt, Cause::NoUtf8 { recipient: to.to_owned() }));
    }
    // It was read from a configuration by the same rules.
    let address: Address =
        to.parse().map_err(|_| connection.error(Stage::Rcpt, Cause::Unfit(format!("not a mail address: {to}"))))?;
    connection.rcpt(&address).await
}
