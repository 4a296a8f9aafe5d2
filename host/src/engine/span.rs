//! Which stretch of time to read, and how people write a point in time.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The stretch of time to read. Without both it is all that happens from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Tell what happened from here on, as far as the engine remembers: Docker knows its last 256 events, and none from
    /// before it was started. None: from now on.
    pub since: Option<Timestamp>,
    /// End here, be it past or to come. None: never.
    pub until: Option<Timestamp>,
}

/// A text that is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It has none of the forms that are understood.
    #[error(
        "`{0}` is not a time\nhint: write how long ago (`90s`, `1h30m`, `2 days`), a time from now (`+10m`), a date and time (`2026-03-01T12:00:00Z`, or \
         local: `2026-03-01 12:00`), a Unix time (`1772366400`, `1772366400.5`), or `now`"
    )]
    NotATime(String),
    /// It is a time that no clock shows.
    #[error("`{0}` is too far away\nhint: a time lies between the years 1970 and 2262")]
    TooFar(String),
    /// The stretch begins now and ends in the past.
    #[error(
        "`--until {0}` is in the past\nhint: a duration is that long ago; write `--until +{0}` for a time from now, or add \
         `--since`"
    )]
    Past(String),
    /// The stretch ends before it begins.
    #[error("the end, {until}, is before the start, {since}\nhint: swap `--since` and `--until`")]
    Reversed {
        /// Where it should begin.
        since: Timestamp,
        /// Where it should end.
        until: Timestamp,
    },
}

impl Span {
    /// A stretch from what was written as `--since` and `--until`.
    ///
    /// # Errors
    /// A text is not a time, or the end is before the start.
    pub fn parse(since: Option<&str>, until: Option<&str>, now: Timestamp) -> Result<Self, SpanError> {
        let ends = until.map(|text| time(text, now)).transpose()?;
        let since = since.map(|text| time(text, now)).transpose()?;
        match (since, ends) {
            (Some(since), Some(until)) if until < since => Err(SpanError::Reversed { since, until }),
            (None, Some(ends)) if ends < now => Err(SpanError::Past(until.unwrap_or_default().trim().to_owned())),
            _ => Ok(Self { since, until: ends }),
        }
    }
}

/// Reads a point in time: a duration before `now` (one with a sign, `+10m` or as with `docker events` `-10m`, is after it), a date and time
/// with offset or in local time, Unix time with or without a fraction, or `now`.
///
/// # Errors
/// The text is none of these, or a time before 1970 or after 2262.
pub fn time(text: &str, now: Timestamp) -> Result<Timestamp, SpanError> {
    let text = text.trim();
    let not_a_time = || SpanError::NotATime(text.to_owned());
    let too_far = || SpanError::TooFar(text.to_owned());
    let time = if text == "now" {
        now
    } else if text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        unix(text).ok_or_else(not_a_time)?.ok_or_else(too_far)?
    } else if let Ok(time) = text.parse::<Timestamp>() {
        time
    } else if let Ok(local) = text.parse::<DateTime>() {
        TimeZone::system().to_timestamp(local).map_err(|_| too_far())?
    } else {
        let (text, ahead) = text.strip_prefix('+').map_or((text, false), |text| (text, true));
        let length = text.strip_suffix("ago").unwrap_or(text).trim_end();
        let duration: jiff::Span = length.parse().map_err(|_| not_a_time())?;
        let duration = if ahead { duration.negate() } else { duration };
        // Days and months have a length only in a calendar.
        let from = now.to_zoned(TimeZone::UTC);
        from.checked_sub(duration).map_err(|_| too_far())?.timestamp()
    };
    let last = Timestamp::UNIX_EPOCH.checked_add(i64::MAX.nanoseconds()).unwrap_or(Timestamp::MAX);
    if (Timestamp::UNIX_EPOCH..=last).contains(&time) { Ok(time) } else { Err(too_far()) }
}

/// Unix time. None: not a number; then none again: out of range.
fn unix(text: &str) -> Option<Option<Timestamp>> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    let Ok(seconds) = seconds.parse() else { return Some(None) };
    Some(Timestamp::new(seconds, nanos).ok())
}

/// A time as the engine's API takes it: `seconds.nanoseconds`. It knows no other form (moby `ParseTimestamps`).
pub(super) fn wire(time: Timestamp) -> String {
    format!("{}.{:09}", time.as_second().max(0), time.subsec_nanosecond().max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        time(text, now).map(|time| time.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_duration_is_that_long_ago() {
        assert_eq!(read("1h30m").unwrap(), "2026-03-01T10:30:00Z");
        assert_eq!(read("90s").unwrap(), "2026-03-01T11:58:30Z");
        assert_eq!(read("2 days").unwrap(), "2026-02-27T12:00:00Z");
        assert_eq!(read("10m ago").unwrap(), "2026-03-01T11:50:00Z");
        assert_eq!(read("1.5h").unwrap(), "2026-03-01T10:30:00Z");
        assert_eq!(read("PT2H").unwrap(), "2026-03-01T10:00:00Z");
        assert_eq!(read("-10m").unwrap(), "2026-03-01T12:10:00Z", "as docker events has it");
        assert_eq!(read("+10m").unwrap(), "2026-03-01T12:10:00Z");
    }

    #[test]
    fn a_date_is_that_date() {
        assert_eq!(read("2026-02-28T10:00:00Z").unwrap(), "2026-02-28T10:00:00Z");
        assert_eq!(read("2026-02-28T10:00:00.25+02:00").unwrap(), "2026-02-28T08:00:00.25Z");
        assert!(read("2026-02-28 10:00").unwrap().starts_with("2026-02-2"), "in local time");
    }

    #[test]
    fn unix_time_may_have_a_fraction_and_now_is_now() {
        assert_eq!(read("1772366400").unwrap(), "2026-03-01T12:00:00Z");
        assert_eq!(read("1772366400.000000001").unwrap(), "2026-03-01T12:00:00.000000001Z");
        assert_eq!(read("1772366400.5").unwrap(), "2026-03-01T12:00:00.5Z");
        assert_eq!(read(" now ").unwrap(), "2026-03-01T12:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_would_be_one() {
        for text in ["", "yesterday", "12:00", "1.2.3", "1.", "1.0000000001", "5 bananas"] {
            let error = read(text).unwrap_err();
            assert!(error.contains(&format!("`{text}` is not a time")), "{error}");
            assert!(error.contains("\nhint: ") && error.contains("1h30m"), "{error}");
        }
        for text in ["99999999999999999999", "9000 years", "1900-01-01T00:00:00Z", "3000-01-01T00:00:00Z"] {
            assert!(read(text).unwrap_err().contains("too far away"), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn a_stretch_that_ends_before_it_begins_is_refused() {
        let now = Timestamp::UNIX_EPOCH.checked_add(9.hours()).unwrap();
        let error = Span::parse(Some("1h"), Some("2h"), now).unwrap_err().to_string();
        assert!(error.contains("before the start") && error.contains("hint: swap"), "{error}");
        let error = Span::parse(None, Some("1h"), now).unwrap_err().to_string();
        assert_eq!(error.lines().next(), Some("`--until 1h` is in the past"), "without a start it begins now");
        assert!(error.contains("`--until +1h`") && !error.contains("swap"), "{error}");
        assert!(Span::parse(None, Some("+1h"), now).is_ok());
        assert!(Span::parse(Some("2h"), Some("now"), now).is_ok());
    }

    #[test]
    fn the_engine_is_told_seconds_and_nine_digits() {
        assert_eq!(wire("2026-03-01T12:00:00.25Z".parse().unwrap()), "1772366400.250000000");
    }
}
