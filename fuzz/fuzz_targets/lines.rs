//! The bytes of an engine's stream: wherever chunks begin and end, the lines and the events are the same.
#![no_main]

use std::sync::Arc;

use dockbell::engine::line::{Line, Lines};
use dockbell::engine::parse::{self, Unreadable};
use libfuzzer_sys::fuzz_target;

/// Longest line that is kept, and how much of a longer one.
const LONGEST: usize = 1 << 20;
const KEPT: usize = 200;

// The first byte says how the rest is to be understood: how long the chunks are, and whether one byte stands for very many.
fuzz_target!(|input: &[u8]| {
    let [shape, rest @ ..] = input else { return };
    let long;
    let stream = if *shape == 0xff {
        long = lengthened(rest);
        &long
    } else {
        rest
    };
    let whole = lines(std::iter::once(stream));
    assert_eq!(whole, expected(stream));
    assert_eq!(whole, lines(chunks(stream, *shape)));
    for line in &whole {
        read(line);
    }
});

/// A line as it was handed over: its bytes, or the length and the start of one that is too long.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Whole(Vec<u8>),
    TooLong(u64, Vec<u8>),
}

fn lines<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut keep = |line: Line<'_>| {
        found.push(match line {
            Line::Whole(line) => Found::Whole(line.to_vec()),
            Line::TooLong { bytes, start } => Found::TooLong(bytes, start.to_vec()),
        });
    };
    let mut lines = Lines::default();
    chunks.for_each(|chunk| lines.feed(chunk, &mut keep));
    lines.end(&mut keep);
    found
}

/// The same, said in another way.
fn expected(stream: &[u8]) -> Vec<Found> {
    let all = stream.split(|byte| *byte == b'\n');
    let found = all.filter_map(|line| {
        if line.len() > LONGEST {
            return Some(Found::TooLong(line.len() as u64, line[..KEPT].to_vec()));
        }
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"\x1e").unwrap_or(line).trim_ascii();
        (!line.is_empty()).then(|| Found::Whole(line.to_vec()))
    });
    found.collect()
}

/// Chunks whose lengths follow from the input.
fn chunks(mut stream: &[u8], shape: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(shape) | 1;
    std::iter::from_fn(move || {
        if stream.is_empty() {
            return None;
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let most = 1_usize << (state >> 28).min(if stream.len() > 1 << 16 { 15 } else { 6 });
        let (chunk, rest) = stream.split_at(((state >> 8) as usize % most).min(stream.len()));
        stream = rest;
        Some(chunk)
    })
}

/// Three bytes for each stretch: the byte, and how often it stands there, together little more than what is kept.
fn lengthened(input: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for stretch in input.chunks_exact(3) {
        let count = usize::from(u16::from_le_bytes([stretch[1], stretch[2]])) * 32 + 1;
        stream.resize((stream.len() + count).min(LONGEST + 65_536), stretch[0]);
    }
    stream
}

fn read(line: &Found) {
    let unreadable = match line {
        Found::Whole(line) => match parse::event(&Arc::from("local"), line) {
            Ok(_) => return,
            Err(unreadable) => unreadable,
        },
        Found::TooLong(bytes, start) => Unreadable::new(*bytes, start, "the line is too long"),
    };
    assert!(unreadable.excerpt.chars().count() <= 200 * 10, "{unreadable}");
    assert!(!unreadable.to_string().chars().any(char::is_control), "{unreadable:?}");
    let told = unreadable.into_event("local".into());
    assert_eq!(told.action, "gap");
}
