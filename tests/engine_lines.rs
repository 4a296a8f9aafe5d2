//! However a stream is cut into chunks, the lines are the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use dockbell::engine::line::{Line, Lines};
use proptest::prelude::*;

const MIB: usize = 1 << 20;

/// The lines of chunks: whole ones as text, those too long as length and start.
fn lines(chunks: &[&[u8]]) -> Vec<Result<String, (u64, usize)>> {
    let mut lines = Lines::default();
    let mut found = Vec::new();
    let mut keep = |line: Line<'_>| {
        found.push(match line {
            Line::Whole(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            Line::TooLong { bytes, start } => Err((bytes, start.len())),
        });
    };
    for chunk in chunks {
        lines.feed(chunk, &mut keep);
    }
    lines.end(&mut keep);
    found
}

fn ok(text: &str) -> Result<String, (u64, usize)> {
    Ok(text.to_owned())
}

#[test]
fn many_lines_in_a_chunk_and_a_line_in_many_chunks_are_the_same() {
    let expected = vec![ok("one"), ok("two"), ok("three")];
    assert_eq!(lines(&[b"one\ntwo\nthree\n"]), expected);
    assert_eq!(lines(&[b"o", b"ne", b"\n", b"two\nthr", b"", b"ee\n"]), expected);
    assert_eq!(lines(&[b"one\ntwo\nthree"]), expected, "the last line needs no end");
}

#[test]
fn carriage_returns_record_separators_and_blank_lines_are_no_part_of_a_line() {
    assert_eq!(lines(&[b"\r\n\n  \n\x1eone\r\n\x1e \r\n\x1e two \n\x1e\n"]), vec![ok("one"), ok("two")]);
}

#[test]
fn a_null_is_no_line_and_so_no_gap() {
    assert_eq!(lines(&[b"null\none\n null \r\nnull"]), vec![ok("one")]);
}

#[test]
fn a_line_that_is_too_long_is_told_and_costs_no_other() {
    let long = vec![b'x'; 10 * MIB];
    let mut stream = b"before\n".to_vec();
    stream.extend_from_slice(&long);
    stream.extend_from_slice(b"\nafter\n");
    let expected = vec![ok("before"), Err((long.len() as u64, 200)), ok("after")];
    assert_eq!(lines(&[&stream]), expected);
    assert_eq!(lines(&stream.chunks(1000).collect::<Vec<_>>()), expected);
    assert_eq!(lines(&[&long]), vec![Err((long.len() as u64, 200))], "without an end");
}

#[test]
fn a_line_of_exactly_one_mebibyte_is_whole() {
    for (length, whole) in [(MIB, true), (MIB + 1, false)] {
        let mut stream = vec![b'x'; length];
        stream.push(b'\n');
        for size in [stream.len(), 4096, length, 7] {
            let found = lines(&stream.chunks(size).collect::<Vec<_>>());
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].is_ok(), whole, "{length} bytes in chunks of {size}");
        }
    }
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        texts in proptest::collection::vec("[a-z{}\": \\r\u{1e}é]{0,40}", 0..20),
        cuts in proptest::collection::vec(0_usize..400, 0..20),
    ) {
        let stream = texts.join("\n").into_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        prop_assert_eq!(lines(&chunks), lines(&[&stream]));
    }
}
