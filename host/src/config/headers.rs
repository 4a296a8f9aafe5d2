//! Headers that are sent along with a webhook.

use std::path::PathBuf;

use secrecy::SecretString;

use super::document::Table;
use super::problem::Mistake;
use super::value::Value;

/// Headers that dockbell or HTTP itself sets.
const OWN: [&str; 14] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Headers in the form of a file: one `Name: value` per line; empty lines and those that begin with `#` count for nothing.
///
/// # Errors
/// A line that is no header, or one that dockbell sets itself. No message repeats a value.
pub fn parse(text: &str) -> Result<Vec<(String, SecretString)>, Mistake> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let headers = lines.map(|(number, line)| {
        let (name, value) = line.split_once(':').unwrap_or((line, "\0"));
        let (name, value) = (name.trim(), value.trim());
        let wrong =
            |mistake: Mistake| Mistake { message: format!("line {}: {}", number + 1, mistake.message), ..mistake };
        check(name, value).map_err(wrong)?;
        Ok((name.to_owned(), SecretString::from(value)))
    });
    headers.collect()
}

/// Whether a header can be sent and is not one of dockbell's own.
pub(super) fn check(name: &str, value: &str) -> Result<(), Mistake> {
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    let is_value = value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
    if !is_name || !is_value {
        return Err(Mistake::new("is not a header of HTTP", "such as `Authorization: Bearer …`, in ASCII"));
    }
    if OWN.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(Mistake::new(format!("dockbell sets the header `{name}` itself"), "remove it; see `content-type`"));
    }
    Ok(())
}

/// `headers`.
pub(super) fn table(table: &mut Table<'_>) -> Vec<(String, SecretString)> {
    let Some(inner) = table.take("headers").and_then(Value::table) else { return Vec::new() };
    let document = inner.document;
    let headers = inner.into_entries().filter_map(|(name, place, value)| {
        let (text, _) = value.string()?;
        check(&name, &text).map_err(|mistake| document.report(&place, mistake)).ok()?;
        Some((name, SecretString::from(text)))
    });
    headers.collect()
}

/// `headers-file`, if it holds headers at present.
pub(super) fn file(value: Value<'_>) -> Option<PathBuf> {
    let (document, place) = (value.document, value.place.clone());
    let path = value.path()?;
    let read = super::file::read_value(&path).and_then(|text| parse(&text));
    read.map_err(|mistake| document.report(&place, mistake)).ok()?;
    Some(path)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn headers_of_a_file_stand_one_per_line() {
        let headers = parse("# ours\nAuthorization: Bearer a:b\n\nX-Team:ops\n").unwrap();
        assert_eq!(headers[0].0, "Authorization");
        assert_eq!(headers[0].1.expose_secret(), "Bearer a:b");
        assert_eq!(headers[1].1.expose_secret(), "ops");
    }

    #[test]
    fn a_line_that_is_no_header_is_told_without_its_value() {
        for text in ["hunter2", "a b: hunter2", "X-A: hunter2\u{7f}", "\nHost: hunter2", "webhook-id: hunter2"] {
            let mistake = parse(text).unwrap_err().to_string();
            assert!(mistake.contains("line ") && !mistake.contains("hunter2"), "{mistake}");
        }
    }
}
