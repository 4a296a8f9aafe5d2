//! The ledger: what an engine sent is what was told, what a filter dropped, what waits, and what could not be read; counted
//! at both ends, never by the program itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use dockbell_tests::load::{Dice, Load};
use dockbell_tests::rig::{ACTIONS, PATIENCE, Rig, Told, counted, expected, own};
use dockbell_tests::smtp::{Fault, Stage};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// What the filter of the test lets pass: all but the actions from `a100` on.
fn passes(number: u32) -> bool {
    number % ACTIONS < 100
}

fn total(told: &[Told]) -> u64 {
    told.iter().map(Told::of_engine).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_told_filtered_waiting_or_quarantined() {
    for seed in [1, 2] {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let mut dice = Dice::new(seed);
    let rig = Rig::new(DOCKBELL).await;
    let archive = rig.file("archive.jsonl");
    rig.configure(
        "",
        &format!(
            "[plugins.half]\ncomponent = \"match\"\nconfig = {{ not = {{ action = {{ glob = \"a1*\" }} }} }}\n\
             [routes.default]\nformatter = \"json\"\nfilters = [\"half\"]\nsettle = \"30ms\"\nwindow = \"100ms\"\n\
             to = [\"ops\"]\n\
             [routes.everything]\nformatter = \"json\"\nfilters = []\nsettle = \"0s\"\nwindow = \"50ms\"\n\
             to = [\"archive\"]\n[sinks.archive]\ntype = \"file\"\npath = \"{}\"",
            archive.display()
        ),
    );
    let mut load = Load::new(archive);
    let mut quarantined = 0;
    for _ in 0..5 {
        let program = rig.start().await;
        for _ in 0..dice.below(3) {
            let (stage, fault) = dice.fault();
            rig.mail.once(stage, fault);
        }
        load.run_for(&rig, Duration::from_millis(100 + dice.below(300)), &mut dice).await;
        // An engine does not repeat what is no event: it has to be stored before the kill.
        rig.engine.send_raw("{\"Type\":\"contai\n");
        quarantined += 1;
        let begun = Instant::now();
        while load.archive.gaps < quarantined {
            assert!(begun.elapsed() < PATIENCE, "{quarantined} lines are no events: {:?}", load.archive);
            load.run_for(&rig, Duration::from_millis(10), &mut dice).await;
        }
        load.run_for(&rig, Duration::from_millis(dice.below(200)), &mut dice).await;
        let log = program.kill().log;
        assert!(!log.contains("panicked"), "{log}");
    }

    // What waits: the last events come while no mail can be sent, and the program ends with them in its outbox.
    rig.mail.heal();
    rig.mail.always(Stage::Mail, Fault::reply("421 4.3.2 not now"));
    let program = rig.start().await;
    load.run_for(&rig, Duration::from_millis(300), &mut dice).await;
    load.settled().await;
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let wanted = expected((0..load.sent).filter(|number| passes(*number)));
    let filtered = expected((0..load.sent).filter(|number| !passes(*number))).values().sum::<u64>();
    let told = total(&rig.told());
    let pending = wanted.values().sum::<u64>() - told;
    assert!(pending > 0, "{told} were told");
    assert_eq!(load.archive.counts, expected(0..load.sent), "seed {seed}");

    rig.mail.heal();
    let program = rig.start().await;
    let all = wanted.values().sum::<u64>();
    let told = rig.wait_told(|told| total(told) >= all && own(told, "gap") >= quarantined).await;
    assert_eq!(total(&told) + filtered, u64::from(load.sent), "seed {seed}");
    let log = program.terminate().log;
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(counted(&rig.told()), wanted, "seed {seed}");
    assert_eq!((own(&rig.told(), "gap"), load.archive.gaps), (quarantined, quarantined), "only the unreadable lines");
    println!(
        "seed {seed}: {} sent = {all} told ({pending} of them later) + {filtered} filtered; {quarantined} quarantined",
        load.sent
    );
}
