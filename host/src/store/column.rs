//! How values stand in the columns of the database: SQLite's integers are signed and have 64 bits, times are
//! milliseconds since the Unix epoch.

use jiff::Timestamp;

/// A count or a sequence number as SQLite keeps it. Sequence numbers grow from 1 by one per line, so they do not come near
/// 2^63.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And back; nothing negative is ever stored.
pub(super) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A count of 32 bits.
pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX })
}

/// A time, cut to milliseconds: never later than it was.
pub(super) fn ms(time: Timestamp) -> i64 {
    time.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(i64::MAX)
}

/// And back; what is out of range becomes the nearest time there is.
pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Text of at most `bytes` bytes, cut between characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_to_the_millisecond_and_never_later() {
        for nanos in [0, 1, 999_999, 1_000_000, -1, 1_763_000_000_123_456_789] {
            let before = Timestamp::from_nanosecond(nanos).unwrap();
            let after = time(ms(before));
            assert!(after <= before && before.duration_since(after).as_nanos() < 1_000_000, "{before} {after}");
        }
        assert_eq!(time(i64::MAX), Timestamp::MAX);
        assert_eq!(time(ms(Timestamp::MAX)), time(ms(Timestamp::MAX)));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 30), "añb");
    }
}
