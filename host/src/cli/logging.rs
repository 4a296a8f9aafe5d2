//! dockbell's own log, on standard error.

use std::io::IsTerminal;

use anyhow::bail;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::problem::nearest;
use crate::config::{Environment, environment};

/// The levels of the log, from the fewest lines to the most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Words for levels in other programs (syslog, Python, npm), and the level that is meant.
const OTHER_WORDS: [(&str, &str); 10] = [
    ("none", "off"),
    ("fatal", "error"),
    ("critical", "error"),
    ("err", "error"),
    ("warning", "warn"),
    ("notice", "info"),
    ("verbose", "debug"),
    ("all", "trace"),
    ("silly", "trace"),
    ("true", "debug"),
];

/// Starts the log. `DOCKBELL_LOG` is a level of dockbell and its plugins (default `info`), or directives of `EnvFilter`,
/// which are added to the default: `hyper=debug,dockbell::deliver=trace`.
///
/// # Errors
/// Fails if `DOCKBELL_LOG` holds an unknown level.
pub(super) fn start(environment: &Environment) -> anyhow::Result<()> {
    let wanted = environment.get(environment::LOG).map(|wanted| wanted.to_string_lossy());
    let filter = filter(wanted.as_deref().unwrap_or("info"))?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .init();
    Ok(())
}

/// Returns the filter that `DOCKBELL_LOG` describes.
fn filter(wanted: &str) -> anyhow::Result<EnvFilter> {
    let directives = match wanted.trim().parse() {
        Ok(LevelFilter::OFF) => "off".to_owned(),
        Ok(level) => own(level),
        Err(_) => {
            wanted.split(',').map(str::trim).filter(|piece| !piece.is_empty()).try_for_each(check)?;
            // A misspelt target adds nothing; it must not switch off all the others.
            format!("{},{wanted}", own(LevelFilter::INFO))
        }
    };
    EnvFilter::try_new(directives).map_err(|error| anyhow::anyhow!("{}: {error}\n{FORMS}", environment::LOG))
}

const FORMS: &str = "hint: write a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or `target=level`, separated by \
                     commas, such as `hyper=debug`";

fn own(level: LevelFilter) -> String {
    format!("warn,dockbell={level},plugin={level}")
}

/// Refuses a directive whose level is unknown. A word alone is a level: as a target, which `EnvFilter` takes it for, a misspelt
/// one would pass unnoticed.
fn check(piece: &str) -> anyhow::Result<()> {
    let level = match piece.rsplit_once('=') {
        // `target[span{field=value}]` has no level.
        Some((_, behind)) if behind.ends_with(']') => return Ok(()),
        Some((_, level)) => level,
        None if piece.ends_with(']') => return Ok(()),
        None => piece,
    };
    if level.parse::<LevelFilter>().is_ok() {
        return Ok(());
    }
    let word = level.to_lowercase();
    let other = OTHER_WORDS.iter().find(|(other, _)| *other == word).map(|(_, meant)| *meant);
    match other.or_else(|| nearest(&word, LEVELS)) {
        Some(meant) => bail!("{}: unknown level `{level}`\nhint: did you mean `{meant}`?", environment::LOG),
        None => bail!("{}: unknown level `{level}`\n{FORMS}", environment::LOG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(wanted: &str) -> String {
        filter(wanted).map(|filter| filter.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_level_is_an_error_that_names_the_nearest() {
        for (wanted, meant) in [
            ("WARNING", "warn"),
            ("warning", "warn"),
            ("inof", "info"),
            ("Debgu", "debug"),
            ("err", "error"),
            ("dockbell=tarce", "trace"),
            ("hyper=debug,dockbell::deliver=warning", "warn"),
            ("info,worn", "warn"),
        ] {
            let error = refused(wanted);
            assert!(error.starts_with("DOCKBELL_LOG: unknown level `"), "{error}");
            assert!(error.ends_with(&format!("hint: did you mean `{meant}`?")), "{wanted}: {error}");
        }
        assert!(refused("hyper").contains("`target=level`"), "a target alone is no level");
    }

    #[test]
    fn levels_in_any_case_and_directives_are_read() {
        for (wanted, level) in [("WARN", "warn"), ("debug", "debug"), (" info ", "info"), ("1", "error")] {
            let filter = filter(wanted).unwrap().to_string();
            assert!(filter.contains(&format!("dockbell={level}")), "{wanted}: {filter}");
        }
        for wanted in ["hyper=debug,dockbell::deliver=trace", "plugin[call{name=a}]=debug", "[call]"] {
            assert!(filter(wanted).is_ok(), "{wanted}");
        }
    }

    #[test]
    fn a_misspelt_target_does_not_switch_off_the_others() {
        let filter = filter("dockbel=debug").unwrap().to_string();
        assert!(filter.contains("dockbell=info") && filter.contains("warn"), "{filter}");
    }
}
