//! An engine that answers anything, over HTTP as it comes: no panic, every request ends, and what the engine says is shown
//! short and clean.
#![no_main]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dockbell::config::{EngineConfig, Host};
use dockbell::engine::{Engine, EngineError, Span, read};
use dockbell::event::{Event, OWN_KIND};
use dockbell::queue::queue;
use dockbell::text::is_hidden;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest text that may come of what an engine says: some 300 bytes are quoted, and paths and hints are dockbell's own.
const LONGEST: usize = 1000;
/// Bytes of an answer where the input says that it has no end: more than dockbell reads of most.
const ENDLESS: usize = 1_200_000;

// The first byte says what is asked for and how the engine ends an answer. Then come the answers with NUL between them, one
// for each connection: status line, headers, body.
fuzz_target!(|input: &[u8]| {
    let [how, answers @ ..] = input else { return };
    let answers: Vec<Vec<u8>> = answers.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    WORLD.with(|world| world.runtime.block_on(ask(How(*how), answers, world)));
});

#[derive(Clone, Copy)]
struct How(u8);

impl How {
    fn question(self) -> u8 {
        self.0 & 7
    }
    /// Whether the connection stays open and silent behind an answer.
    fn stalls(self) -> bool {
        self.0 & 0x10 != 0
    }
    /// Whether the last line of an answer is repeated.
    fn endless(self) -> bool {
        self.0 & 0xe0 == 0xe0
    }
}

struct World {
    runtime: Runtime,
    listener: UnixListener,
    socket: PathBuf,
}

thread_local! {
    static WORLD: World = {
        // The clock jumps over every wait: what is sent to a socket of the same machine is there at once.
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let socket = std::env::temp_dir().join(format!("dockbell-fuzz-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let listener = runtime.block_on(async { UnixListener::bind(&socket) }).unwrap();
        World { runtime, listener, socket }
    };
}

async fn ask(how: How, answers: Vec<Vec<u8>>, world: &World) {
    let config = EngineConfig { host: Host::Unix(world.socket.clone()), tls: None };
    let engine = Engine::new(Arc::from("local"), &config).unwrap();
    let over = Notify::new();
    tokio::select! {
        () = question(how, &engine, &over) => {}
        () = serve(&world.listener, answers, how, &over) => {}
    }
    // Connections that nobody accepted are not those of the next input.
    while timeout(Duration::ZERO, world.listener.accept()).await.is_ok() {}
}

async fn question(how: How, engine: &Engine, over: &Notify) {
    match how.question() {
        0 => match engine.describe().await {
            Ok(description) => is_clean(&description.to_string()),
            Err(error) => is_clean_error(&error),
        },
        1 => engine.id().await.iter().for_each(|id| is_clean(id)),
        2 => match engine.inspect("abc").await {
            Ok(found) => found.iter().for_each(|found| is_clean(&found.error)),
            Err(error) => is_clean_error(&error),
        },
        3 => match engine.containers().await {
            Ok(found) => assert!(found.is_none_or(|found| found.len() <= 5000)),
            Err(error) => is_clean_error(&error),
        },
        _ => {
            let (sender, mut receiver) = queue(1 << 20);
            let stop = CancellationToken::new();
            let reading = read(engine.clone(), Span::default(), None, sender, stop.clone());
            let taking = async {
                while let Some(batch) = receiver.recv().await {
                    batch.events.iter().for_each(is_told_well);
                }
            };
            let ending = async {
                over.notified().await;
                stop.cancel();
            };
            tokio::join!(reading, taking, ending);
        }
    }
}

async fn serve(listener: &UnixListener, answers: Vec<Vec<u8>>, how: How, over: &Notify) {
    let (mut answers, mut open) = (answers.into_iter(), Vec::new());
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let Some(answer) = answers.next() else {
            over.notify_one();
            continue;
        };
        let _ = reply(&mut stream, &answer, how).await;
        if how.stalls() {
            open.push(stream);
        }
    }
}

async fn reply(stream: &mut UnixStream, answer: &[u8], how: How) -> std::io::Result<()> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") && stream.read_buf(&mut heard).await? > 0 {}
    stream.write_all(answer).await?;
    let last = answer.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    if how.endless() && !last.is_empty() {
        let again = [last, b"\r\n"].concat().repeat(4096 / last.len().min(4096) + 1);
        for _ in 0..ENDLESS / again.len() {
            stream.write_all(&again).await?;
        }
    }
    Ok(())
}

fn is_told_well(event: &Event) {
    assert!(!event.kind.is_empty());
    if event.kind == OWN_KIND {
        event.attribute("reason").into_iter().for_each(is_clean);
    }
}

fn is_clean(text: &str) {
    let hidden = |c: char| c.is_control() || is_hidden(c);
    assert!(!text.contains(hidden) && text.len() <= LONGEST, "{text:?}");
}

/// One line, and one with a hint.
fn is_clean_error(error: &EngineError) {
    let shown = error.to_string();
    let (what, hint) = shown.split_once("\nhint: ").unwrap_or_else(|| panic!("{shown:?}"));
    is_clean(what);
    is_clean(hint);
}
