//! What a person can do about messages: have them sent again, or remove them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::Timestamp;
use ulid::Ulid;

use crate::config::Config;
use crate::deliver::{Alarm, Outbox, Retry, Sink, SinkStats, Sinks};
use crate::message::Message;
use crate::serve::control::{self, Answer, ControlError, Request};
use crate::store::{LIFETIME, Letter, MessageState, Opened, Options, Place, Reader, Seal, Store};

/// Does what was asked for: in the program that runs with this state directory, else in the store itself.
///
/// # Errors
/// The store cannot be used, or a running program does not answer.
pub async fn change(state: &Path, request: &Request) -> anyhow::Result<u64> {
    match control::ask(state, request).await {
        Err(ControlError::NotRunning(_)) => {}
        asked => return Ok(asked?),
    }
    // Where there is no store, none is made.
    drop(Reader::open(state)?);
    let place = Place::Directory(state.to_owned());
    let opened = tokio::task::spawn_blocking(move || Store::open(&place, &Options::default())).await??;
    let Opened { store, .. } = opened;
    let changed = apply(&store, request).await.map_err(anyhow::Error::msg);
    store.close().await?;
    changed
}

/// Sends one message to one sink, through an outbox of its own, and gives what one attempt came to.
///
/// # Errors
/// The sink cannot be used, or the attempt has no end.
pub async fn deliver_now(config: &Config, sink: &str, message: &Message) -> anyhow::Result<Letter> {
    let open = || Sink::open(sink, &config.sinks[sink], &config.hostname, None);
    let sinks = Sinks::new([(sink.to_owned(), open()?)]);
    let opened = tokio::task::spawn_blocking(|| Store::open(&Place::Memory, &Options::default())).await??;
    let store = opened.store;
    let messages = sinks.seal(sink, &Arc::from([message.clone()]), None).await;
    store.seal(Seal { messages, ..Seal::default() }).await?;
    let outbox = Outbox::start(store.clone(), vec![(sink.to_owned(), open()?)], Retry::default(), &Alarm::new(drop));
    let Some(mut stats) = outbox.stats(sink) else { bail!("the sink `{sink}` is not there") };
    let tried = |stats: &SinkStats| stats.delivered + stats.refused + stats.retried > 0 || stats.gone;
    stats.wait_for(tried).await?;
    // What was noted of the attempt is on its way to the store, from the thread that has just counted it.
    loop {
        let letter = store.letters(message.id).await?.into_iter().next().context("the message is gone")?;
        if letter.summary.state != MessageState::Sending && !letter.attempts.is_empty() {
            return Ok(letter);
        }
        tokio::task::yield_now().await;
    }
}

/// Answers requests of [`change`] for as long as the program runs.
pub(super) fn answer(state: &Path, store: Store, outbox: Arc<Outbox>) {
    let listener = match control::listen(state) {
        Ok(listener) => listener,
        Err(error) => {
            let state = state.display();
            tracing::warn!("`dockbell outbox` cannot reach this dockbell: no socket in `{state}`: {error}");
            return;
        }
    };
    tokio::spawn(control::serve(listener, move |request| {
        let (store, outbox) = (store.clone(), Arc::clone(&outbox));
        async move {
            let answer = apply(&store, &request).await;
            outbox.hurry();
            answer
        }
    }));
}

async fn apply(store: &Store, request: &Request) -> Answer {
    let ids = |texts: &[String]| texts.iter().map(|text| id(text)).collect::<Result<Vec<_>, _>>();
    let changed = match request {
        Request::Retry(texts) => {
            let deadline = Timestamp::now().checked_add(LIFETIME).unwrap_or(Timestamp::MAX);
            store.retry(ids(texts)?, deadline).await.map(|numbers| numbers.len())
        }
        Request::Drop(texts) => store.drop_messages(ids(texts)?).await.map(|removed| removed.len()),
    };
    changed.map(|count| count as u64).map_err(|error| error.to_string())
}

/// The id that a text says.
///
/// # Errors
/// It says none.
pub fn id(text: &str) -> Result<Ulid, String> {
    text.parse().map_err(|_| format!("`{text}` is no id of a message\nhint: `dockbell outbox list` shows them"))
}
