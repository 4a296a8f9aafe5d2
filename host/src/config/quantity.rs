//! Lengths of time and numbers of bytes, as people write them.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use super::problem::Mistake;

/// The hint for durations.
pub(super) const DURATION_FORMS: &str = "durations are strings such as \"500ms\", \"90s\", \"1h 30m\" or \"2d\"";

/// The hint for sizes.
pub(super) const SIZE_FORMS: &str = "sizes are \"64MiB\" (1024 × 1024), \"64MB\" (1000 × 1000) or a number of bytes";

/// A duration in jiff's friendly format (`90s`, `1h 30m`) or ISO 8601; a day has 24 hours.
pub(super) fn duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, Mistake> {
    let wrong = || Mistake::new(format!("`{text}` is not a duration"), DURATION_FORMS);
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let duration = Duration::try_from(signed).map_err(|_| wrong())?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (in_words(*range.start()), in_words(*range.end()));
    Err(Mistake::new(format!("`{text}` is out of range"), format!("{least} to {most} are possible")))
}

/// A number of bytes: `65536`, `64KiB`, `64 MB`; also `k`, `M`, `G` with `B` or `iB` in any case.
pub(super) fn size(text: &str, range: RangeInclusive<usize>) -> Result<usize, Mistake> {
    let wrong = || Mistake::new(format!("`{text}` is not a size"), SIZE_FORMS);
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: usize = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000 * 1000,
        "gb" => 1000 * 1000 * 1000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: usize = text[..digits].parse().map_err(|_| wrong())?;
    let (least, most) = range.into_inner();
    match number.checked_mul(unit) {
        Some(bytes) if (least..=most).contains(&bytes) => Ok(bytes),
        _ => {
            let (least, most) = (bytes_in_words(least), bytes_in_words(most));
            Err(Mistake::new(format!("`{text}` is out of range"), format!("{least} to {most} are possible")))
        }
    }
}

fn in_words(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (0, millis @ 1..) => format!("{millis}ms"),
        (seconds, _) if seconds > 0 && seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        (seconds, _) if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        (seconds, _) => format!("{seconds}s"),
    }
}

fn bytes_in_words(bytes: usize) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{}GiB", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        1 => "1 byte".to_owned(),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Result<u64, String> {
        duration(text, Duration::ZERO..=Duration::from_secs(7 * 86_400))
            .map(|duration| duration.as_secs())
            .map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = ["0s", "90s", "1h 30m", "1h30m", "2 hours", "1d", "PT5M", " 5m "].map(seconds);
        assert_eq!(read, [0, 90, 5400, 5400, 7200, 86_400, 300, 300].map(Ok));
    }

    #[test]
    fn durations_without_unit_negative_or_too_long_are_refused() {
        for text in ["5", "", "fast", "-5s", "5s ago", "1 month"] {
            assert!(seconds(text).unwrap_err().contains("hint: durations are strings such as"), "{text}");
        }
        assert_eq!(seconds("8d").unwrap_err(), "`8d` is out of range\nhint: 0s to 7d are possible");
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = ["65536", "64KiB", "64 kib", "1MB", "1GiB", "7b"].map(|text| size(text, 0..=usize::MAX));
        assert_eq!(read, [65536, 65536, 65536, 1_000_000, 1 << 30, 7].map(Ok));
    }

    #[test]
    fn sizes_that_are_none_or_out_of_range_are_refused() {
        for text in ["", "MiB", "1.5MiB", "64M", "-1", "64 parsecs", "99999999999999999999"] {
            assert!(size(text, 0..=usize::MAX).unwrap_err().to_string().contains("is not a size"), "{text}");
        }
        for text in ["1", "2GiB", "18446744073709551615GiB"] {
            let message = size(text, 1 << 20..=1 << 30).unwrap_err().to_string();
            assert!(message.ends_with("is out of range\nhint: 1MiB to 1GiB are possible"), "{message}");
        }
    }
}
