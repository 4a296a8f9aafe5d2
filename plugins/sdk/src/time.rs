//! Event times as people and machines write them. A plugin has no clock and no time zones: it knows UTC, and an offset
//! where its configuration names one.

use std::fmt;
use std::str::FromStr;

/// How far local time is from UTC, in seconds to the east; within a day either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offset(i32);

impl Offset {
    /// The offset of so many seconds to the east; `None` for a day or more.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        ((-86_399..=86_399).contains(&seconds)).then(|| i32::try_from(seconds).ok().map(Self)).flatten()
    }
}

impl FromStr for Offset {
    type Err = String;

    /// `utc`, `Z`, or hours and minutes to the east as `+02:00` or `-0330`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("z") {
            return Ok(Self(0));
        }
        let refused = || {
            let name = if text.contains('/') { "; names of zones are not known here" } else { "" };
            format!("`{text}` is no offset: `utc`, or hours and minutes such as `+02:00`{name}")
        };
        let (sign, digits) = match text.split_at_checked(1) {
            Some(("+", digits)) => (1, digits),
            Some(("-", digits)) => (-1, digits),
            _ => return Err(refused()),
        };
        let digits = match digits.split_once(':') {
            Some((hours, minutes)) if hours.len() == 2 => format!("{hours}{minutes}"),
            Some(_) => return Err(refused()),
            None => digits.to_owned(),
        };
        if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(refused());
        }
        let number: i32 = digits.parse().map_err(|_| refused())?;
        let (hours, minutes) = (number / 100, number % 100);
        if hours > 23 || minutes > 59 { Err(refused()) } else { Ok(Self(sign * (hours * 3600 + minutes * 60))) }
    }
}

impl fmt::Display for Offset {
    /// `UTC`, or `UTC+02:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.abs() / 60;
        match self.0 {
            0 => f.write_str("UTC"),
            seconds => write!(f, "UTC{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60),
        }
    }
}

/// A moment, by calendar and clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Days since 1970-01-01.
    days: i64,
    /// Nanoseconds of the day.
    nanos: i64,
    offset: Offset,
}

const DAY: i64 = 86_400_000_000_000;
const SECOND: i64 = 1_000_000_000;

impl Time {
    /// The moment so many nanoseconds after the Unix epoch, as a clock of this offset shows it.
    #[must_use]
    pub fn at(nanos: i64, offset: Offset) -> Self {
        let local = i128::from(nanos) + i128::from(offset.0) * i128::from(SECOND);
        let day = i128::from(DAY);
        // Both fit: an `i64` of nanoseconds is 292 years.
        let days = i64::try_from(local.div_euclid(day)).unwrap_or_default();
        let nanos = i64::try_from(local.rem_euclid(day)).unwrap_or_default();
        Self { days, nanos, offset }
    }

    /// `2026-11-22`.
    #[must_use]
    pub fn date(&self) -> String {
        let (year, month, day) = civil(self.days);
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// `14:03:07`.
    #[must_use]
    pub fn clock(&self) -> String {
        let seconds = self.nanos / SECOND;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// RFC 3339 to the nanosecond: `2026-11-22T14:03:07.123456789+02:00`, or `Z` for UTC.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        let offset = match self.offset.to_string() {
            utc if utc == "UTC" => "Z".to_owned(),
            offset => offset.trim_start_matches("UTC").to_owned(),
        };
        format!("{}T{}.{:09}{offset}", self.date(), self.clock(), self.nanos % SECOND)
    }
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar. The years are counted from 1 March, so that
/// the leap day is a year's last, in eras of 400 years, which all have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    // 0000-03-01 is 719,468 days before 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months in a row from March have 153 days together.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339() {
        let cases = [
            (0, "utc", "1970-01-01T00:00:00.000000000Z"),
            (-1, "Z", "1969-12-31T23:59:59.999999999Z"),
            (951_782_400 * SECOND, "utc", "2000-02-29T00:00:00.000000000Z"),
            (1_795_331_484_283_292_298, "utc", "2026-11-22T07:11:24.283292298Z"),
            (1_795_331_484_283_292_298, "+02:00", "2026-11-22T09:11:24.283292298+02:00"),
            (1_795_331_484_283_292_298, "-0730", "2026-11-21T23:41:24.283292298-07:30"),
            (4_107_542_400 * SECOND, "utc", "2100-03-01T00:00:00.000000000Z"),
            (i64::MAX, "+23:59", "2262-04-12T23:46:16.854775807+23:59"),
            (i64::MIN, "-23:59", "1677-09-20T00:13:43.145224192-23:59"),
        ];
        for (nanos, offset, expected) in cases {
            assert_eq!(Time::at(nanos, offset.parse().unwrap()).rfc3339(), expected);
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut expected = (1800, 1, 1);
        for days in -62_091..84_005 {
            assert_eq!(civil(days), expected, "day {days}");
            let (year, month, day) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day == last) {
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn an_offset_is_utc_or_hours_and_minutes() {
        for (text, shown) in
            [("utc", "UTC"), ("UTC", "UTC"), ("+00:00", "UTC"), ("+0545", "UTC+05:45"), ("-11:30", "UTC-11:30")]
        {
            assert_eq!(text.parse::<Offset>().unwrap().to_string(), shown);
        }
        for text in
            ["", "+", "2", "+2", "+02", "+2:00", "+02:0", "+24:00", "+02:60", "02:00", "+0a:00", "ä", "+02:000", "CET"]
        {
            assert!(text.parse::<Offset>().unwrap_err().contains("+02:00"), "{text}");
        }
        assert!("Europe/Berlin".parse::<Offset>().unwrap_err().contains("names of zones"));
        assert_eq!(Offset::from_seconds(7200), "+02:00".parse().ok());
        assert_eq!(Offset::from_seconds(86_400), None);
        assert_eq!(Offset::from_seconds(i64::MIN), None);
    }
}
