//! Recorded events with the facts that dockbell adds. The usual form is what `docker events --format '{{json .}}'` prints; values
//! over several lines, UTF-16 and the other forms in which engines and their tools print events are read as well.

mod encoding;
mod shapes;
mod values;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::engine::line::{Line, Lines};
use crate::engine::parse::Unreadable;
use crate::event::Event;
use crate::lifecycle::Lifecycle;
use encoding::Decoder;
use values::{Piece, Values};

/// How to record events, for whom a recording could not be read.
pub const HINT: &str = "hint: `docker events --format '{{json .}}'` prints events as they are read here";

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// A recording while it is read. A line that is no event does not end it.
pub struct Recording {
    /// For messages.
    place: PathBuf,
    lines: Box<dyn AsyncRead + Unpin + Send>,
    decoder: Decoder,
    splitter: Lines,
    values: Values,
    chunk: Vec<u8>,
    engine: Arc<str>,
    lifecycle: Lifecycle,
    /// Read already.
    next: VecDeque<Result<Event, Unreadable>>,
    ended: bool,
}

impl Recording {
    /// Opens a file; `-` is the standard input. The events are those of this engine.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn open(path: &Path, engine: &str) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::new(Path::new("standard input"), engine, tokio::io::stdin()));
        }
        let file = tokio::fs::File::open(path).await.with_context(|| unreadable(path))?;
        Ok(Self::new(path, engine, file))
    }

    /// Recorded events that are at hand.
    #[must_use]
    pub fn of_text(text: &'static str, engine: &str) -> Self {
        Self::new(Path::new("recording"), engine, text.as_bytes())
    }

    fn new(place: &Path, engine: &str, lines: impl AsyncRead + Unpin + Send + 'static) -> Self {
        Self {
            place: place.to_owned(),
            lines: Box::new(lines),
            decoder: Decoder::default(),
            splitter: Lines::default(),
            values: Values::default(),
            chunk: vec![0; CHUNK],
            engine: engine.into(),
            lifecycle: Lifecycle::new(),
            next: VecDeque::new(),
            ended: false,
        }
    }

    /// The next event with its facts, or a line that is none; nothing at the end.
    ///
    /// # Errors
    /// It cannot be read to its end.
    pub async fn next(&mut self) -> anyhow::Result<Option<Result<Event, Unreadable>>> {
        while self.next.is_empty() && !self.ended {
            let read = self.lines.read(&mut self.chunk).await.with_context(|| unreadable(&self.place))?;
            let text = if read == 0 { self.decoder.end() } else { self.decoder.decode(&self.chunk[..read]) };
            let Self { splitter, values, engine, next, .. } = self;
            let mut each = |piece: Piece| match piece {
                Ok(text) => shapes::events(engine, &text, &mut |event| next.push_back(event)),
                Err(unreadable) => next.push_back(Err(unreadable)),
            };
            let mut feed = |line: Line<'_>| match line {
                Line::Whole(line) => values.take(line, &mut each),
                Line::TooLong { bytes, start } => {
                    values.end(&mut each);
                    each(Err(Unreadable::new(bytes, start, "the line is too long")));
                }
            };
            splitter.feed(&text, &mut feed);
            if read == 0 {
                splitter.end(&mut feed);
                values.end(&mut each);
            }
            self.ended = read == 0;
        }
        let mut next = self.next.pop_front();
        if let Some(Ok(event)) = &mut next {
            self.lifecycle.observe(event);
        }
        Ok(next)
    }
}

fn unreadable(path: &Path) -> String {
    format!("cannot read `{}`", path.display())
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("place", &self.place).finish_non_exhaustive()
    }
}
