//! The stages of the way of an event, one by one and together, within this process.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dockbell::app::feed::Feed;
use dockbell::app::own::Own;
use dockbell::app::recorder::{Inlet, Inlets, Recorder};
use dockbell::app::teller::{Shared, Teller};
use dockbell::config::{GroupBy, OnError, PluginConfig, RouteConfig};
use dockbell::deliver::{Alarm, Outbox, Retry, Sink, Sinks};
use dockbell::engine::{Batch, Engine, Span, parse, read};
use dockbell::event::Event;
use dockbell::plugin::{Filter, Plugin, Runtime};
use dockbell::queue::{Receiver, queue};
use dockbell::route::Route;
use dockbell::route::filters::Guarded;
use dockbell::route::formatter::RouteFormatter;
use dockbell::route::group::Digest;
use dockbell::route::plain::Plain;
use dockbell::store::{Options, Place, Store};
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::CONDITION;
use crate::condition::Condition;
use crate::refusal;
use crate::source::Source;

/// Large enough for all events: what is measured is the work, and an event that did not fit would be waited for in vain.
const QUEUE: u32 = 1 << 30;
/// As in the program.
const ROUTE_QUEUE: u32 = 32 << 20;

fn name() -> Arc<str> {
    Arc::from("local")
}

pub(crate) fn parsed(lines: &[Bytes]) -> Vec<Event> {
    lines.iter().map(|line| parse::event(&name(), line).unwrap()).collect()
}

pub(crate) fn parsing(lines: &[Bytes]) -> Duration {
    let name = name();
    let begin = Instant::now();
    for line in lines {
        black_box(parse::event(&name, line).unwrap());
    }
    begin.elapsed()
}

/// A reader on a scripted engine that has sent nothing yet.
async fn reader(lines: &[Bytes]) -> (Sender<()>, Engine, Receiver<Batch>, CancellationToken) {
    let mut source = Source::new(lines);
    let engine = Engine::new(name(), &source.config()).unwrap();
    let (sender, receiver) = queue(QUEUE);
    let stop = CancellationToken::new();
    tokio::spawn(read(engine.clone(), Span::default(), None, sender, stop.clone()));
    (source.subscribed().await, engine, receiver, stop)
}

pub(crate) async fn reading(lines: &[Bytes]) -> Duration {
    let (go, _, mut receiver, stop) = reader(lines).await;
    let begin = Instant::now();
    go.send(()).unwrap();
    let mut count = 0;
    while count < lines.len() {
        count += receiver.recv().await.unwrap().events.len();
    }
    let time = begin.elapsed();
    stop.cancel();
    time
}

fn plugin(runtime: &Runtime) -> Arc<Plugin> {
    let config = PluginConfig { config: serde_json::from_str(CONDITION).unwrap(), ..PluginConfig::new("match") };
    runtime.load("trouble", &config).unwrap()
}

pub(crate) async fn filtering(lines: &[Bytes]) -> Duration {
    let events = parsed(lines);
    let runtime = Runtime::new().unwrap();
    let mut filter = Filter::start(plugin(&runtime)).await.unwrap();
    let begin = Instant::now();
    for event in &events {
        black_box(filter.accept(event).await.unwrap());
    }
    begin.elapsed()
}

pub(crate) fn filtering_natively(lines: &[Bytes]) -> Duration {
    let native = |event: Event| dockbell_plugin::Event {
        engine: event.engine.to_string(),
        kind: event.kind.into(),
        action: event.action.into(),
        detail: event.detail.into(),
        actor_id: event.actor_id,
        scope: event.scope.into(),
        time_nanos: event.time_nanos,
        attributes: event.attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        facts: vec![],
    };
    let events: Vec<_> = parsed(lines).into_iter().map(native).collect();
    let condition = Condition::compile(&refusal::Place::Root, &serde_json::from_str(CONDITION).unwrap()).unwrap();
    let begin = Instant::now();
    for event in &events {
        black_box(condition.holds(event));
    }
    begin.elapsed()
}

/// A route with this one filter, as a person has it who configures no other times.
pub(crate) fn route(filter: Guarded) -> Route {
    let config = RouteConfig {
        engines: vec![],
        filters: vec![],
        formatter: "plain".to_owned(),
        to: vec![],
        group_by: GroupBy::Service,
        settle: Duration::from_secs(1),
        window: Duration::from_secs(60),
        window_max: Duration::from_secs(3600),
    };
    let plain = Plain { hostname: "bench".to_owned(), zone: TimeZone::UTC };
    let digest = Digest::new("default", &config).at_end();
    Route::new("default", &[], vec![filter], digest, RouteFormatter::plain(plain))
}

pub(crate) async fn whole(lines: &[Bytes]) -> Duration {
    let runtime = Runtime::new().unwrap();
    let filter = Guarded::start(plugin(&runtime), OnError::Pass).await.unwrap();
    let route = route(filter);

    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Place::Directory(folder.path().to_owned()), &Options::default()).unwrap().store;
    let alarm = Alarm::new(|trouble| panic!("{trouble:?}"));
    let outbox = Arc::new(Outbox::start(store.clone(), Vec::<(String, Sink)>::new(), Retry::default(), &alarm));
    let (own, _) = Own::new();
    let shared = Shared { store: store.clone(), outbox, sinks: Arc::new(Sinks::new([])), own };
    let teller = Teller::open(route, &[], shared).await.unwrap();

    let (go, engine, receiver, stop) = reader(lines).await;
    let (inlet, events) = Inlet::new(ROUTE_QUEUE);
    let inlets = Inlets::default();
    inlets.open("default", inlet);
    let recorder = Recorder::new(&store, "local", inlets);
    tokio::spawn(Feed::new(engine, recorder).run(receiver));
    let begin = Instant::now();
    let told = tokio::spawn(teller.run(events, CancellationToken::new()));
    go.send(()).unwrap();
    while store.newest().await.unwrap() < lines.len() as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The reader ends its feed, the feed the route, which filters what it has not filtered yet.
    stop.cancel();
    told.await.unwrap().unwrap();
    begin.elapsed()
}
