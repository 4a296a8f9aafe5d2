//! The rate of a sink: a burst goes out at once, the rest evenly, and what waits beyond that becomes one message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use dockbell::config::{FileConfig, Rate, SinkConfig};
use dockbell::deliver::{Alarm, Courier, Outbox, Retry, Sink, Sinks};
use dockbell::store::{Options, Place, Seal, Store};
use dockbell_tests::deliver::{HOST, message};
use dockbell_tests::engine::container;
use dockbell_tests::rig::{Rig, Told};
use dockbell_tests::smtp::{Fault, Stage};
use tempfile::TempDir;
use tokio::time::Instant;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Sends so many messages through an outbox to a file of this rate; how long that took, and what stands in the file.
async fn deliver(count: u128, rate: Option<Rate>) -> (Duration, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("told.jsonl");
    let open = || Sink::open("file", &SinkConfig::File(FileConfig { path: path.clone() }), HOST, None).unwrap();
    let place = Place::Directory(folder.path().join("state"));
    let store = Store::open(&place, &Options::default()).unwrap().store;
    let sinks = Sinks::new([("file".to_owned(), open())]);
    for number in 0..count {
        let messages = Arc::from([message(number, &format!("message {number}"))]);
        let messages = sinks.seal("file", &messages, None).await;
        store.seal(Seal { messages, ..Seal::default() }).await.unwrap();
    }
    let begun = Instant::now();
    let courier = Courier { sink: open(), rate };
    let outbox =
        Outbox::start(store.clone(), vec![("file".to_owned(), courier)], Retry::default(), &Alarm::new(|_| ()));
    outbox.all_told().await;
    let took = begun.elapsed();
    assert!(outbox.close(Duration::ZERO).await.sinks.is_empty());
    store.close().await.unwrap();
    (took, fs::read_to_string(&path).unwrap())
}

#[tokio::test(start_paused = true)]
async fn more_than_the_rate_lets_through_waits_and_nothing_is_lost() {
    let (took, told) = deliver(20, Some(Rate { messages: 5, per: Duration::from_mins(1) })).await;
    // Five at once, and fifteen more, one every twelve seconds.
    assert!(took >= Duration::from_secs(15 * 12), "{took:?}");
    let subjects: Vec<String> = told
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["subject"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(subjects, (0..20).map(|number| format!("message {number}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn as_many_as_the_rate_says_go_at_once() {
    let (_, told) = deliver(5, Some(Rate { messages: 5, per: Duration::from_hours(24) })).await;
    assert_eq!(told.lines().count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_services_at_once_a_few_are_told_each_and_the_rest_in_one_mail() {
    let rig = Rig::new(DOCKBELL).await;
    rig.configure_mail(
        "[routes.default]\nformatter = \"json\"\nfilters = []\nsettle = \"500ms\"\ngroup-by = \"container\"\n\
         window = \"10m\"\n",
        "rate = \"5/s\"\n",
    );
    // They all come while the server takes nothing.
    rig.mail.always(Stage::Greeting, Fault::reply("421 4.3.2 not now"));
    let program = rig.start().await;
    for service in 0..1000 {
        rig.engine.send(container("die").name(&format!("service-{service}")).attribute("exitCode", "1").line());
    }
    program.logged("421");
    let begun = std::time::Instant::now();
    // Until all were made messages of.
    while begun.elapsed() < Duration::from_secs(60) && waiting(&rig) < 1000 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    rig.mail.heal();
    let told = rig.wait_told(|told| total(told) >= 1000).await;
    assert_eq!(total(&told), 1000, "each is told once");
    assert!(told.len() <= 20, "{} mails", told.len());
    let one = told.iter().find(|one| one.group.is_empty() && one.total > 900).expect("one mail tells of most of them");
    assert!(one.notes.iter().any(|note| note.contains("messages of several groups are one")), "{:?}", one.notes);
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

fn total(told: &[Told]) -> u64 {
    told.iter().map(Told::of_engine).sum()
}

/// How many events wait in the outbox.
fn waiting(rig: &Rig) -> u64 {
    let reader = dockbell::store::Reader::open(&rig.state());
    reader.map_or(0, |reader| {
        let messages = reader.messages(&dockbell::store::Filter::default()).unwrap();
        messages.iter().map(|message| u64::from(message.total)).sum()
    })
}
