//! `rate` of a sink: how many messages it may be sent.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::document::Table;
use super::problem::Mistake;
use super::value::Value;

const FORMS: &str = "such as \"30/min\", \"1/s\", \"500/h\" or \"2000/d\", or \"unlimited\"";
/// The most messages of a rate; more is no limit.
const MOST: u32 = 1_000_000;

/// How many messages a sink may be sent: so many at once, and then one after the other, evenly over the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Messages, at least 1.
    pub messages: u32,
    /// The time for so many.
    pub per: Duration,
}

impl Rate {
    /// The default for mail: 30 a minute, the limit of Exchange Online for a mailbox.
    pub const MAIL: Self = Self { messages: 30, per: Duration::from_mins(1) };
    /// The default for chat and push services: 20 a minute, the limit of Telegram for a group; Slack and Discord take more.
    pub const CHAT: Self = Self { messages: 20, per: Duration::from_mins(1) };

    /// The time from one message to the next.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.per / self.messages.max(1)
    }

    /// Reads the key `rate` of a sink; `None` means unlimited.
    pub(super) fn read(table: &mut Table<'_>, default: Option<Self>) -> Option<Self> {
        table.take("rate").and_then(Value::parse::<Limit>).map_or(default, |limit| limit.0)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, seconds)| self.per.as_secs() == *seconds).map_or("?", |(unit, _)| unit);
        write!(f, "{}/{unit}", self.messages)
    }
}

const UNITS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)];

/// A rate, or none at all.
#[derive(Debug, PartialEq, Eq)]
struct Limit(Option<Rate>);

impl FromStr for Limit {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if text == "unlimited" {
            return Ok(Self(None));
        }
        let wrong = || Mistake::new(format!("`{text}` is not a rate"), FORMS);
        let (messages, unit) = text.split_once('/').ok_or_else(wrong)?;
        let messages: u32 = messages.trim().parse().map_err(|_| wrong())?;
        let unit = unit.trim();
        let (_, seconds) = UNITS.iter().find(|(known, _)| *known == unit).ok_or_else(wrong)?;
        if !(1..=MOST).contains(&messages) {
            return Err(Mistake::new(
                format!("`{text}` is out of range"),
                format!("1 to {MOST} messages are possible"),
            ));
        }
        Ok(Self(Some(Rate { messages, per: Duration::from_secs(*seconds) })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Limit>().unwrap_or_else(|mistake| panic!("{text}: {mistake}")).0;
        assert_eq!(read("30/min"), Some(Rate::MAIL));
        assert_eq!(read("1 / s").map(|rate| rate.interval()), Some(Duration::from_secs(1)));
        assert_eq!(read("1000000/d").map(|rate| rate.interval()), Some(Duration::from_micros(86_400)));
        assert_eq!(read("unlimited"), None);
        assert_eq!(Rate::MAIL.to_string(), "30/min");
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["", "30", "30/", "/min", "x/min", "-1/s", "1.5/s", "30/fortnight", "30/min/s"] {
            let mistake = text.parse::<Limit>().unwrap_err().to_string();
            assert!(mistake.contains("is not a rate\nhint: such as "), "{text}: {mistake}");
        }
        assert!("0/s".parse::<Limit>().unwrap_err().to_string().contains("out of range"));
    }
}
