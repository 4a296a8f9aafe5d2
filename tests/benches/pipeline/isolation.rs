//! What a plugin that means harm takes from the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dockbell::config::{OnError, PluginConfig};
use dockbell::event::Event;
use dockbell::plugin::{Plugin, Runtime};
use dockbell::route::filters::Guarded;
use dockbell_tests::guests::{Guest, event, load};

const TIME: Duration = Duration::from_secs(4);

/// How much a filter gets done beside one that never ends, before that one is left alone: 1 is as much as beside one of its kind.
pub(crate) async fn beside_an_endless_loop() -> f64 {
    let honest = Runtime::new().unwrap().load("honest", &PluginConfig::new("match")).unwrap();
    let mut endless = Guest::filter();
    endless.accept("(loop $again (br $again)) unreachable");
    let endless = load(&endless.component(), |_| {}).unwrap();
    let (expected, _) = work(&honest, &honest).await;
    let (done, harmed) = work(&honest, &endless).await;
    assert!(harmed < 5, "it is left alone already");
    done as f64 / expected as f64
}

/// How many events each of two filters takes, side by side.
async fn work(one: &Arc<Plugin>, other: &Arc<Plugin>) -> (u64, u64) {
    let counts: [Arc<AtomicU64>; 2] = Default::default();
    let [one, other] = [(one, &counts[0]), (other, &counts[1])]
        .map(|(plugin, count)| tokio::spawn(filter_for_ever(Arc::clone(plugin), Arc::clone(count))));
    tokio::time::sleep(TIME).await;
    one.abort();
    other.abort();
    (counts[0].load(Ordering::Relaxed), counts[1].load(Ordering::Relaxed))
}

async fn filter_for_ever(plugin: Arc<Plugin>, done: Arc<AtomicU64>) {
    let mut filter = Guarded::start(plugin, OnError::Pass).await.unwrap();
    let event: Event = event();
    loop {
        filter.accept(&event).await;
        // Events come in batches, and between them others have their turn.
        if done.fetch_add(1, Ordering::Relaxed).is_multiple_of(100) {
            tokio::task::yield_now().await;
        }
    }
}
