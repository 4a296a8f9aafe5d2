//! Chunks of a stream become lines.

/// A line longer than this is not kept: 1 MiB. The largest honest event is a container with all the labels that its engine
/// lets it have; Docker's client sends at most some hundred KiB of them.
const LONGEST: usize = 1 << 20;
/// How much of a line that is too long is kept to be shown.
const KEPT: usize = 200;
/// The record separator before each value in `application/json-seq` (RFC 7464).
const RECORD_SEPARATOR: u8 = 0x1e;

/// What a remote Podman sends beside each event (containers/podman#28325): it says nothing, and hides nothing.
const NOTHING: &[u8] = b"null";

/// A line without its end and the blanks around it; neither empty nor `null`.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A whole line.
    Whole(&'a [u8]),
    /// A line longer than 1 MiB, of which only the start was kept.
    TooLong {
        /// How long it was, without its end.
        bytes: u64,
        /// The first 200 bytes.
        start: &'a [u8],
    },
}

/// Cuts a stream into lines wherever its chunks begin and end; holds at most 1 MiB.
#[derive(Debug, Default)]
pub struct Lines {
    /// The start of a line whose end has not come; of a line that is too long, its first bytes.
    begun: Vec<u8>,
    /// Length so far of a line that is too long.
    skipped: Option<u64>,
}

impl Lines {
    /// Takes a chunk and hands over each line that ends in it. A line that lies within the chunk is not copied.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Line<'_>)) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(end);
            if self.begun.is_empty() && line.len() <= LONGEST {
                hand_over(line, &mut each);
            } else {
                self.append(line);
                self.end(&mut each);
            }
            rest = behind.get(1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            self.append(rest);
        }
    }

    /// The stream is over: what has begun is a line, too.
    pub fn end(&mut self, mut each: impl FnMut(Line<'_>)) {
        match self.skipped.take() {
            Some(bytes) => each(Line::TooLong { bytes, start: &self.begun }),
            None => hand_over(&self.begun, &mut each),
        }
        self.begun.clear();
        // One long line must not cost its memory for ever.
        self.begun.shrink_to(64 * 1024);
    }

    fn append(&mut self, part: &[u8]) {
        let length = self.skipped.unwrap_or(self.begun.len() as u64) + part.len() as u64;
        if length <= LONGEST as u64 {
            self.begun.extend_from_slice(part);
            return;
        }
        let room = KEPT.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(part.get(..room).unwrap_or(part));
        self.begun.truncate(KEPT);
        self.skipped = Some(length);
    }
}

fn hand_over(line: &[u8], each: &mut impl FnMut(Line<'_>)) {
    let line = line.trim_ascii();
    let line = line.strip_prefix(&[RECORD_SEPARATOR]).unwrap_or(line).trim_ascii_start();
    if !line.is_empty() && line != NOTHING {
        each(Line::Whole(line));
    }
}
