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

/// How much of its work an honest filter gets done beside one that never ends, before that one is left alone: 1 is all.
pub(crate) async fn beside_an_endless_loop() -> f64 {
    let honest = Runtime::new().unwrap().load("honest", &PluginConfig::new("match")).unwrap();
    let mut endless = Guest::filter();
    endless.accept("(loop $again (br $again)) unreachable");
    let endless = load(&endless.component(), |_| {}).unwrap();
    let alone = work(&honest, &Arc::default()).await;
    let harmed = Arc::default();
    let harm = tokio::spawn(filter_for_ever(endless, Arc::clone(&harmed)));
    let beside = work(&honest, &Arc::default()).await;
    harm.abort();
    assert!(harmed.load(Ordering::Relaxed) < 5, "it is left alone already");
    beside / alone
}

async fn work(plugin: &Arc<Plugin>, done: &Arc<AtomicU64>) -> f64 {
    let work = tokio::spawn(filter_for_ever(Arc::clone(plugin), Arc::clone(done)));
    tokio::time::sleep(TIME).await;
    work.abort();
    done.load(Ordering::Relaxed) as f64
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
