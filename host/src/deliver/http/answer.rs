//! What an answer means for a message.

use std::time::Duration;

use jiff::Timestamp;
use ulid::Ulid;

use super::{Answer, Tries, retry_after};
use crate::config::{HttpUrl, Mask};
use crate::deliver::{Failure, Fault};
use crate::text;

/// Most bytes of an answer that are repeated.
const WORDS: usize = 200;

/// Whether a service took the message.
///
/// 2xx is yes. 410 closes the sink. 401, 403 and 407 are about the credentials, and 429, 502, 503 and 504 about the service:
/// the messages of the sink wait. 408, 425 and other 5xx may be about this message: it waits, and the others go on. Any
/// other status refuses this message; all but 3xx, which no try changes, count as in [`Tries`].
fn verdict(url: &HttpUrl, answer: &Answer, hidden: &[String]) -> Result<(), Failure> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let (fault, lasting, hint) = match status.as_u16() {
        410 => (Fault::Sink, true, Some("the receiver is gone for good; remove the sink, or change its URL")),
        401 | 403 | 407 => (Fault::Sink, false, Some("check the URL, and the token or login in it or in the headers")),
        404 => (Fault::Message, true, Some("check the URL: there is nothing at its path")),
        429 | 502 | 503 | 504 => (Fault::Sink, false, None),
        408 | 425 | 500.. => (Fault::Message, false, None),
        300..=399 => (Fault::Message, true, Some("no redirect is followed; write the URL that it leads to")),
        413 => (Fault::Message, true, Some("the message is too large for the receiver; a `template` makes it smaller")),
        _ => (Fault::Message, true, None),
    };
    let retry_after = answer.retry_after();
    let error = format!("{url}: answer: {}", answer.words(url, hidden));
    Err(Failure { fault, lasting, retry_after, hint: hint.map(str::to_owned), ..Failure::down(error) })
}

impl Tries {
    /// Whether a service took a message; see [`verdict`]. `hidden` is what no error may show beside the URL's own secrets.
    ///
    /// # Errors
    /// What is to be done about it.
    pub(in crate::deliver) fn verdict(
        &mut self,
        (id, recipient): (Ulid, usize),
        url: &HttpUrl,
        answer: &Answer,
        hidden: &[String],
    ) -> Result<(), Failure> {
        verdict(url, answer, hidden).map_err(|mut failure| {
            if !answer.status.is_redirection() {
                self.count(id, recipient, &mut failure);
            }
            failure
        })
    }
}

impl Answer {
    /// Returns how long the service wants to be left alone.
    pub(in crate::deliver) fn retry_after(&self) -> Option<Duration> {
        retry_after::retry_after(&self.headers, &self.body, Timestamp::now())
    }

    /// The status and the beginning of the body, in one line and without what is secret: services repeat what they were
    /// sent.
    pub(in crate::deliver) fn words(&self, url: &HttpUrl, hidden: &[String]) -> String {
        let secrets = url.secrets();
        let mask = Mask::new(hidden.iter().chain(&secrets).map(String::as_str));
        let body = String::from_utf8_lossy(&self.body);
        // A little more than is shown, so that it is seen to be cut.
        let body = mask.hide(body.trim_start(), "[hidden]", 2 * WORDS);
        format!("{} {}", self.status, text::one_line(&body, WORDS)).trim().to_owned()
    }
}
