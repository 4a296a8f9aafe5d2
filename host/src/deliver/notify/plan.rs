//! What is asked of a service, and of whom.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tocsin::{Format, Kind, Notification, PreparedRequest, Response, Service};

use super::fit::Text;
use crate::config::HttpUrl;
use crate::deliver::Failure;
use crate::deliver::http::Request;

/// Services whose URL takes a `priority`: 4 of 5 at ntfy, 8 of 10 at Gotify, 1 of 2 at Pushover and Prowl.
const PRIORITIES: [&str; 4] = ["gotify", "ntfy", "prowl", "pushover"];

/// Parts of a header shorter than this are no secrets.
const SHORT: usize = 6;

/// Where a request goes.
pub(super) fn address(request: &PreparedRequest) -> Result<HttpUrl, Failure> {
    let url = request.url.expose().parse::<HttpUrl>();
    url.map_err(|mistake| Failure { hint: mistake.hint, ..Failure::down(format!("`url`: {}", mistake.message)) })
}

/// A text as tocsin takes it.
pub(super) fn notification(text: &Text) -> Notification {
    let kind = match text.severity.as_str() {
        "error" => Kind::Failure,
        "warning" => Kind::Warning,
        _ => Kind::Info,
    };
    let format = if text.html { Format::Html } else { Format::Text };
    Notification::new(text.body.as_str()).title(text.title.as_str()).kind(kind).format(format)
}

/// Returns the URL of a service with the priority of a severity: `high` for `error`, so that a telephone rings where it does
/// not for others. A URL that names a priority keeps it.
pub(super) fn with_priority<'a>(url: &'a str, service: &str, severity: &str) -> Cow<'a, str> {
    if severity != "error" || !PRIORITIES.contains(&service) {
        return Cow::Borrowed(url);
    }
    let url = url.trim();
    let (separator, named) = match url.split_once('?') {
        None => ('?', false),
        Some((_, query)) => ('&', query.split('&').any(|pair| pair.to_ascii_lowercase().starts_with("priority="))),
    };
    if named { Cow::Borrowed(url) } else { Cow::Owned(format!("{url}{separator}priority=high")) }
}

/// How many recipients can be told each on its own: one request for each, none of which needs the answer to another. 1 where
/// that is not so.
pub(super) fn targets(service: &Service, told: &Notification) -> usize {
    let listed = service.prepare(told).len();
    let mut plan = service.plan(told);
    let mut planned = 0;
    while plan.next_request().is_some() {
        planned += 1;
        plan.report(Ok(Response::new(200)));
    }
    if listed == planned { listed.max(1) } else { 1 }
}

/// The place of a recipient among so many. None where there are other ones now: the URL has changed.
pub(super) fn place(pending: &str, targets: usize) -> Option<usize> {
    let (number, of) = pending.rsplit_once(' ')?.1.split_once('/')?;
    let (number, of): (usize, usize) = (number.parse().ok()?, of.parse().ok()?);
    (of == targets && (1..=of).contains(&number)).then(|| number - 1)
}

/// A request as the client sends it, and what of it no error may show.
pub(super) fn request(url: &HttpUrl, asked: &PreparedRequest) -> Result<(Request, Vec<String>), Failure> {
    let mut headers = HeaderMap::new();
    let mut hidden = Vec::new();
    for (name, value) in &asked.headers {
        let wrong = || Failure::down(format!("{url}: the header `{name}` cannot be written"));
        let mut header = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
        header.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, header);
        hidden.extend(value.expose().split(' ').filter(|part| part.len() >= SHORT).map(str::to_owned));
    }
    let method = Method::from_bytes(asked.method.as_str().as_bytes()).unwrap_or(Method::POST);
    let body = Bytes::copy_from_slice(asked.body.expose());
    Ok((Request { method, headers, body }, hidden))
}
