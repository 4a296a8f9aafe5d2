//! Lines are packed: events repeat themselves, and a burst is written at the speed of the disk.

use std::borrow::Cow;

/// Less is not worth it.
const LEAST: usize = 256;

/// The lines as they are stored: packed (LZ4) where that makes them smaller by an eighth at least, else as they are.
pub(super) fn pack(lines: &[u8]) -> Cow<'_, [u8]> {
    if lines.len() < LEAST {
        return Cow::Borrowed(lines);
    }
    let packed = lz4_flex::block::compress(lines);
    if packed.len() > lines.len() - lines.len() / 8 { Cow::Borrowed(lines) } else { Cow::Owned(packed) }
}

/// And back to lines of `bytes` bytes; none if they cannot be what was stored.
pub(super) fn unpack(stored: Vec<u8>, bytes: u64, sum: i64) -> Option<Vec<u8>> {
    if checksum(&stored) != sum {
        return None;
    }
    let bytes = usize::try_from(bytes).ok()?;
    if stored.len() == bytes {
        return Some(stored);
    }
    // The checksum covers the packed form alone. LZ4 makes at most 255 bytes of one.
    if bytes / 255 > stored.len() {
        return None;
    }
    lz4_flex::block::decompress(&stored, bytes).ok().filter(|lines| lines.len() == bytes)
}

/// The checksum of what is stored.
pub(in crate::store) fn checksum(stored: &[u8]) -> i64 {
    xxhash_rust::xxh3::xxh3_64(stored).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(lines: &[u8]) -> (usize, Option<Vec<u8>>) {
        let stored = pack(lines).into_owned();
        let sum = checksum(&stored);
        (stored.len(), unpack(stored, lines.len() as u64, sum))
    }

    #[test]
    fn lines_come_back_as_they_were_whatever_they_hold() {
        let noise: Vec<u8> = (0..5_000_u32).map(|n| checksum(&n.to_le_bytes()).to_le_bytes()[0]).collect();
        for lines in [b"".as_slice(), b"{}", &[b'x'; 300], &[0; 100_000], &noise] {
            assert_eq!(again(lines).1.as_deref(), Some(lines));
        }
        assert!(again(&[b'x'; 10_000]).0 < 200);
        assert_eq!(again(&noise).0, noise.len(), "what cannot be packed is not larger than before");
    }

    #[test]
    fn damage_is_found_and_costs_no_memory() {
        let lines = [b'x'; 10_000];
        let stored = pack(&lines).into_owned();
        let sum = checksum(&stored);
        for place in 0..stored.len() {
            let mut damaged = stored.clone();
            damaged[place] ^= 1;
            assert_eq!(unpack(damaged, 10_000, sum), None);
        }
        for bytes in [0, 9_999, 10_001, u64::MAX] {
            assert_eq!(unpack(stored.clone(), bytes, sum), None, "{bytes}");
        }
    }
}
