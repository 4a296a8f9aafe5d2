//! The program killed again and again at random moments under load, with a mail server that fails now and then.
//!
//! `cargo xtask torture` runs it with as many kills as are wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dockbell_tests::load::{Dice, Load};
use dockbell_tests::program::Program;
use dockbell_tests::rig::{PATIENCE, Rig, Told, counted, expected, own};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// A number out of the environment.
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_three_times_at_random_moments_it_tells_everything_once() {
    torture(3, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a second per kill; `cargo xtask torture` runs it"]
async fn killed_at_random_moments_it_tells_everything_once() {
    let by_the_clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    torture(asked("DOCKBELL_TORTURE_KILLS").unwrap_or(50), asked("DOCKBELL_TORTURE_SEED").unwrap_or_else(by_the_clock))
        .await;
}

async fn torture(kills: u64, seed: u64) {
    println!("seed: {seed}");
    let begun = Instant::now();
    let mut dice = Dice::new(seed);
    let rig = Rig::new(DOCKBELL).await;
    let archive = rig.file("archive.jsonl");
    rig.configure(
        "",
        &format!(
            "[routes.default]\nformatter = \"json\"\nfilters = []\nsettle = \"20ms\"\nwindow = \"80ms\"\n\
             [sinks.archive]\ntype = \"file\"\npath = \"{}\"",
            archive.display()
        ),
    );
    let mut load = Load::new(archive);
    for kill in 0..kills {
        let streams = rig.engine.streams();
        let program = Program::start(&mut rig.command(&rig.state()));
        if dice.below(3) == 0 {
            let (stage, fault) = dice.fault();
            rig.mail.once(stage, fault);
        }
        // The first start makes the state directory and the first position: before that there is nothing to lose.
        if kill > 0 && dice.below(5) == 0 {
            load.run_for(&rig, Duration::from_millis(dice.below(500)), &mut dice).await;
        } else {
            let streams = streams + 1;
            if kill == 0 {
                rig.engine.subscribed(streams).await;
            }
            load.run_until_subscribed(&rig, streams, &mut dice).await;
            load.run_for(&rig, Duration::from_millis(dice.below(400)), &mut dice).await;
        }
        if kill == 0 {
            // A program that was killed before it had stored anything begins at the next start.
            load.settled().await;
        }
        let log = program.kill().log;
        assert!(!log.contains("panicked") && !log.contains("damaged"), "kill {kill} of seed {seed}:\n{log}");
    }

    rig.mail.heal();
    let program = rig.start().await;
    load.settled().await;
    let all = u64::from(load.sent);
    let total = |told: &[Told]| told.iter().map(Told::of_engine).sum::<u64>();
    rig.mail.wait_until(PATIENCE, |_| total(&rig.told()) >= all).await;
    let log = program.terminate().log;
    assert!(!log.contains("panicked"), "{log}");
    load.archive.look();

    let told = rig.told();
    let mails = rig.mail.mails();
    let twice = mails.len() - told.len();
    let (wanted, counts) = (expected(0..load.sent), counted(&told));
    let lost = |counts: &BTreeMap<String, u64>| {
        let missing =
            |(action, count): (&String, &u64)| count.saturating_sub(counts.get(action).copied().unwrap_or_default());
        wanted.iter().map(missing).sum::<u64>()
    };
    println!(
        "kills: {kills}; events: {all}; messages: {} mailed, {} in the file; lost: {} and {}; sent twice, with the same id \
         and bytes: {twice} mails, {} lines; lines cut off: {}; seconds: {:.1}",
        told.len(),
        load.archive.messages,
        lost(&counts),
        lost(&load.archive.counts),
        load.archive.twice,
        load.archive.torn,
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(counts, wanted, "mailed, seed {seed}");
    assert_eq!(load.archive.counts, wanted, "in the file, seed {seed}");
    assert_eq!((own(&told, "gap"), load.archive.gaps), (0, 0), "nothing is missing, and nothing is said to be");
    // Only what was being sent at the moment of a kill.
    assert!(twice as u64 <= kills && load.archive.twice <= kills);
}
