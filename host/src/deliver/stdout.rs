//! Messages on the terminal, for people or as JSON lines.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{Attempt, Failure, Sealed, json};
use crate::config::Output;
use crate::message::Message;
use crate::text;

/// Messages on the terminal. A reader that goes away, as `head` does, closes the sink for good.
pub struct Stdout {
    output: Output,
    colour: bool,
    place: Box<dyn AsyncWrite + Send + Sync + Unpin>,
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdout").field("output", &self.output).field("colour", &self.colour).finish_non_exhaustive()
    }
}

impl Stdout {
    /// Standard output; coloured when it is a terminal and `NO_COLOR` is not set.
    #[must_use]
    pub fn open(output: Output) -> Self {
        let colour = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
        Self::to(output, colour, tokio::io::stdout())
    }

    /// Any other place.
    #[must_use]
    pub fn to(output: Output, colour: bool, place: impl AsyncWrite + Send + Sync + Unpin + 'static) -> Self {
        Self { output, colour, place: Box::new(place) }
    }

    pub(super) fn seal(&self, message: &Message) -> Sealed {
        let text = match self.output {
            Output::Json => json::line(message) + "\n",
            Output::Text => readable(message, self.colour),
        };
        Sealed {
            id: message.id,
            subject: message.notification.subject.clone(),
            bytes: Bytes::from(text),
            plainer: None,
            pending: vec![Arc::from("stdout")],
        }
    }

    pub(super) async fn deliver(&mut self, sealed: &Sealed) -> Attempt {
        let written = async {
            self.place.write_all(&sealed.bytes).await?;
            self.place.flush().await
        };
        match written.await {
            Ok(()) => Attempt::accepted(sealed),
            Err(error) => {
                let mut failure = Failure::down(format!("standard output: {error}"));
                failure.lasting = error.kind() == ErrorKind::BrokenPipe;
                Attempt::failed(sealed, &failure)
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        match self.output {
            Output::Text if self.colour => "standard output, coloured text".to_owned(),
            Output::Text => "standard output, text".to_owned(),
            Output::Json => "standard output, JSON lines".to_owned(),
        }
    }
}

/// A text of one line stands alone; a longer one is set under its subject, with an empty line behind it.
fn readable(message: &Message, colour: bool) -> String {
    let told = &message.notification;
    let text = text::multi_line(told.text());
    let text = text.trim_matches('\n');
    let style = if colour { style(told.field("severity")) } else { Style::new() };
    let subject = text::one_line(&told.subject, 900);
    match text {
        "" => format!("{style}{subject}{style:#}\n"),
        line if !line.contains('\n') => format!("{style}{line}{style:#}\n"),
        text => format!("{style}{subject}{style:#}\n{text}\n\n"),
    }
}

fn style(severity: Option<&str>) -> Style {
    match severity {
        Some("error") => AnsiColor::Red.on_default().bold(),
        Some("warning") => AnsiColor::Yellow.on_default().bold(),
        _ => Style::new().bold(),
    }
}
