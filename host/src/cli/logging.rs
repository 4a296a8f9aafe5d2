//! dockbell's own log, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::environment;

/// Starts the log. `DOCKBELL_LOG` says what is logged: a level (`error`, `warn`, `info`, `debug`, `trace`) of dockbell and its
/// plugins, or a filter in the words of `EnvFilter`. Default `info`.
pub(super) fn start() {
    let wanted = std::env::var(environment::LOG).unwrap_or_default();
    let own = |level: LevelFilter| format!("warn,dockbell={level},plugin={level}");
    let directives = match wanted.parse() {
        // An empty text would parse as `error`.
        _ if wanted.is_empty() => own(LevelFilter::INFO),
        Ok(level) => own(level),
        Err(_) => wanted,
    };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|error| {
        eprintln!("warning: `{}` cannot be used ({error}): logging at `info`", environment::LOG);
        EnvFilter::new(own(LevelFilter::INFO))
    });
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .init();
}
