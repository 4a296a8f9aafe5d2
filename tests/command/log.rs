//! `DOCKBELL_LOG`.

use crate::run;

#[test]
fn a_misspelt_level_is_refused_instead_of_switching_the_log_off() {
    for (level, meant) in [("WARNING", "warn"), ("inof", "info"), ("dockbell=debgu", "debug")] {
        let ended = run(&["plugin", "list"], |command| {
            command.env("DOCKBELL_LOG", level);
        });
        assert_eq!(ended.status.code(), Some(1), "{level}: {}", ended.log);
        assert!(ended.log.contains("DOCKBELL_LOG: unknown level `"), "{}", ended.log);
        assert!(ended.log.contains(&format!("hint: did you mean `{meant}`?")), "{}", ended.log);
    }
}

#[test]
fn a_misspelt_target_leaves_the_other_lines_in_the_log() {
    let ended = run(&["send", "--to", "nobody"], |command| {
        command.env("DOCKBELL_SMPT_URL", "x").env("DOCKBELL_LOG", "hiper=debug");
    });
    assert!(ended.log.contains("WARN environment variable `DOCKBELL_SMPT_URL` is not known"), "{}", ended.log);
}
