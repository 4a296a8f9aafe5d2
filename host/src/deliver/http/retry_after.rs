//! How long a service wants to be left alone.

use std::time::Duration;

use hyper::header::{HeaderMap, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Deserialize;

/// No service is left alone longer than this, whatever it says: 6 h.
const LONGEST: Duration = Duration::from_hours(6);

/// What the header `Retry-After` says (seconds or a date), or the body in the manner of Discord (`retry_after`) and Telegram
/// (`parameters.retry_after`), both in seconds; the longest of them, and at most 6 h.
pub(super) fn retry_after(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| header(text, now));
    let told: Option<Told> = serde_json::from_slice(body).ok();
    let told = told.map(|told| [told.retry_after, told.parameters.and_then(|parameters| parameters.retry_after)]);
    let told = told.into_iter().flatten().flatten().filter_map(seconds);
    header.into_iter().chain(told).max().map(|wait| wait.min(LONGEST))
}

#[derive(Deserialize)]
struct Told {
    retry_after: Option<f64>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<f64>,
}

fn header(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are more than the longest wait too.
        return Some(text.parse().map_or(LONGEST, Duration::from_secs));
    }
    if let Ok(number) = text.parse() {
        return seconds(number);
    }
    // The date of HTTP is one form of that of mail (RFC 9110 section 5.6.7). A wrong day of the week changes nothing.
    static DATES: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    let at = DATES.parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

fn seconds(number: f64) -> Option<Duration> {
    (number >= 0.0).then(|| Duration::from_secs_f64(number.min(LONGEST.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: Option<&'static str>, body: &str) -> Option<f64> {
        let headers = value.map(|value| (RETRY_AFTER, value.parse().unwrap()));
        let now = "1994-11-06T08:49:30Z".parse().unwrap();
        retry_after(&headers.into_iter().collect(), body.as_bytes(), now).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(after(Some("120"), ""), Some(120.0));
        assert_eq!(after(Some("0.5"), ""), Some(0.5));
        assert_eq!(after(Some("Sun, 06 Nov 1994 08:49:37 GMT"), ""), Some(7.0));
        assert_eq!(after(Some("Sun, 06 Nov 1994 08:49:00 GMT"), ""), Some(0.0));
    }

    #[test]
    fn what_discord_and_telegram_say_counts() {
        assert_eq!(after(None, r#"{"message": "slow", "retry_after": 1.337, "global": false}"#), Some(1.337));
        assert_eq!(after(None, r#"{"ok": false, "parameters": {"retry_after": 35}}"#), Some(35.0));
        assert_eq!(after(Some("3"), r#"{"retry_after": 64.57}"#), Some(64.57));
    }

    #[test]
    fn absurd_values_are_capped_at_six_hours() {
        let ten_years = ["315360000", "99999999999999999999999", "Sat, 06 Nov 2004 08:49:37 GMT", "1e300"];
        for value in ten_years {
            assert_eq!(after(Some(value), ""), Some(21_600.0), "{value}");
        }
        assert_eq!(after(None, r#"{"retry_after": 1e300}"#), Some(21_600.0));
    }

    #[test]
    fn nonsense_is_as_if_nothing_was_said() {
        for value in ["", "soon", "-5", "NaN", "99 Nov"] {
            assert_eq!(after(Some(value), "[]"), None, "{value}");
        }
        for body in [r#"{"retry_after": "soon"}"#, r#"{"retry_after": -1}"#, "<html>", r#"{"retry_after": null}"#] {
            assert_eq!(after(None, body), None, "{body}");
        }
    }
}
