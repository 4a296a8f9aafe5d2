//! A disk that fails to flush ends the work of the store for good; the next start finds what was acknowledged before.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::path::Path;

use dockbell::store::StoreError;
use fixture::{FAILING_DISK, again, all_lines, numbered, open, preload, said};

#[tokio::test]
#[ignore = "the process whose disk the next test breaks"]
async fn work_on_a_disk_that_breaks() {
    let Some(directory) = std::env::var_os("DOCKBELL_TEST_DIRECTORY") else { return };
    let store = open(Path::new(&directory)).store;
    let engine = store.appender("local");
    for batch in 0..10 {
        engine.append(numbered(batch * 10..batch * 10 + 10, 100)).await.unwrap().await.unwrap();
    }
    std::fs::write(std::env::var_os("DOCKBELL_TEST_DISK").unwrap(), "").unwrap();
    let failed = engine.append(numbered(100..110, 100)).await.unwrap().await.unwrap_err();
    assert!(matches!(failed, StoreError::Io { .. }) && failed.is_fatal(), "{failed}");
    assert!(failed.to_string().contains("\nhint: look into the kernel's log"), "{failed}");
    // Even when the disk seems to be back: what it has is not known.
    std::fs::remove_file(std::env::var_os("DOCKBELL_TEST_DISK").unwrap()).unwrap();
    let mut again = store.appender("local");
    again.resume();
    assert!(again.append(numbered(100..110, 100)).await.unwrap().await.unwrap_err().is_fatal());
    assert!(store.settle("default", 1).await.unwrap_err().is_fatal());
    assert!(store.close().await.unwrap_err().is_fatal());
    println!("\nfailed as it should");
}

#[tokio::test]
async fn a_disk_that_fails_to_flush_ends_the_work_and_the_next_start_finds_the_rest() {
    let base = tempfile::tempdir().unwrap();
    let Some(shim) = preload(base.path(), FAILING_DISK) else { return };
    let directory = base.path().join("state");
    let mut child = again("work_on_a_disk_that_breaks", ("DOCKBELL_TEST_DIRECTORY", &directory))
        .env("DOCKBELL_TEST_DISK", base.path().join("broken"))
        .env("LD_PRELOAD", shim)
        .spawn()
        .unwrap();
    let words: Vec<String> = said(&mut child).collect();
    assert!(child.wait().unwrap().success() && words.iter().any(|line| line == "failed as it should"), "{words:?}");

    let opened = open(&directory);
    assert!(opened.notices.iter().any(|notice| notice.to_string().contains("did not end by itself")));
    let lines = all_lines(&opened.store, 0).await.len();
    assert!(lines == 100 || lines == 110, "what was acknowledged, and perhaps what nobody knew of: {lines}");
    let last = opened.store.cursor("local").await.unwrap().unwrap().last_nanos;
    assert_eq!(last, Some(lines as i64 - 1));
}
