//! Options and small commands as people type them.

use std::fs;

use tempfile::TempDir;

use crate::run;

#[test]
fn an_outbox_before_the_first_start_is_empty_and_no_error() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    for arguments in [["--state", state, "outbox", "list"], ["outbox", "list", "--state", state]] {
        let ended = run(&arguments, |_| {});
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {}", ended.log);
        assert!(
            ended.output.contains(&format!("nothing waits: no dockbell has used `{state}` yet")),
            "{}",
            ended.output
        );
    }
    let ended = run(&["outbox", "list", "--output", "json", "--state", state], |_| {});
    assert_eq!((ended.status.code(), ended.output.as_str()), (Some(0), ""), "{}", ended.log);
}

#[test]
fn options_that_a_subcommand_does_not_share_are_refused_before_it() {
    let ended = run(&["--since", "1h", "check"], |_| {});
    assert_eq!(ended.status.code(), Some(2), "{}", ended.log);
    assert!(ended.log.contains("--since cannot be used before this subcommand"), "{}", ended.log);
}

#[test]
fn a_test_message_goes_to_the_only_sink_there_is_or_to_the_one_that_is_named() {
    let folder = TempDir::new().unwrap();
    let (config, out) = (folder.path().join("dockbell.toml"), folder.path().join("out.jsonl"));
    let file =
        format!("[sinks.archive]\ntype = \"file\"\npath = \"{}\"\n[sinks.screen]\ntype = \"stdout\"\n", out.display());
    fs::write(&config, &file).unwrap();
    let send = |arguments: &[&str]| {
        let mut all = vec!["send", "--config", config.to_str().unwrap()];
        all.extend(arguments);
        run(&all, |_| {})
    };
    let ended = send(&[]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(fs::read_to_string(&out).unwrap().contains("test message from dockbell"));
    let ended = send(&["--to", "archiv"]);
    assert!(ended.log.contains("there is no sink `archiv`\nhint: did you mean `archive`?"), "{}", ended.log);
    fs::write(&config, format!("{file}[sinks.other]\ntype = \"file\"\npath = \"{}\"\n", out.display())).unwrap();
    let ended = send(&[]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("hint: `--to SINK` names one of `archive`, `other`, `screen`"), "{}", ended.log);
}

#[test]
fn an_end_in_the_past_is_refused_with_how_to_write_one_to_come() {
    let ended = run(&["--until", "3s"], |_| {});
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(ended.log.contains("`--until 3s` is in the past") && ended.log.contains("`--until +3s`"), "{}", ended.log);
    assert!(!ended.log.contains("swap"), "{}", ended.log);
}
