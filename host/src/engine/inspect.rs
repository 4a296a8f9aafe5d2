//! A look at one container.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::api::Engine;
use super::describe::fault_of;
use super::error::{EngineError, Fault, quoted};

/// How long a look may take. Whoever waits for it wants to tell something now.
const LIMIT: Duration = Duration::from_secs(2);
/// Most bytes of the id or the name of a container; ids have 64.
const LONGEST_NAME: usize = 255;

/// What the engine knows about a container, beside its events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspected {
    /// Exit code of its last run; 0 also while it runs.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed one of its processes for want of memory since it was last started.
    pub oom_killed: bool,
    /// Whether it runs now; also while it is paused.
    pub running: bool,
    /// Whether its restart policy is about to start it again.
    pub restarting: bool,
    /// How often its restart policy has started it again.
    pub restart_count: u64,
    /// What the engine says went wrong, such as a command that is not there, as one line of at most 300 bytes; empty where
    /// nothing did.
    pub error: String,
    /// When it was last started; none where it never was.
    pub started_at: Option<Timestamp>,
    /// When it last ended; none where it never did.
    pub finished_at: Option<Timestamp>,
}

impl Engine {
    /// Looks at a container; takes at most 2 s. None when it is gone, when a proxy forbids to look (their default), or when
    /// `container` cannot be the id or the name of one.
    ///
    /// # Errors
    /// The connection failed, the engine answered with an error or not in time.
    pub async fn inspect(&self, container: &str) -> Result<Option<Inspected>, EngineError> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        // It becomes part of a path, and engines are not trusted that far.
        if !container.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !container.chars().all(known)
            || container.len() > LONGEST_NAME
        {
            return Ok(None);
        }
        let path = format!("/containers/{container}/json");
        let fault = match timeout(LIMIT, self.docker.inspect_container(container, None)).await {
            Ok(Ok(answer)) => return Ok(Some(inspected(answer))),
            Ok(Err(error)) => fault_of(&path, error),
            Err(_) => Fault::Timeout { what: format!("`{path}`"), limit: LIMIT },
        };
        match fault {
            Fault::Status { status: 401 | 403 | 404, .. } => {
                tracing::debug!(engine = %self.name(), "not inspected: {fault}");
                Ok(None)
            }
            fault => Err(self.error(fault)),
        }
    }
}

fn inspected(answer: bollard::models::ContainerInspectResponse) -> Inspected {
    let state = answer.state.unwrap_or_default();
    // Engines write the year 1 for never.
    let time = |text: Option<String>| {
        text.and_then(|text| text.parse::<Timestamp>().ok()).filter(|time| *time > Timestamp::UNIX_EPOCH)
    };
    Inspected {
        exit_code: state.exit_code,
        oom_killed: state.oom_killed.unwrap_or_default(),
        running: state.running.unwrap_or_default(),
        restarting: state.restarting.unwrap_or_default(),
        restart_count: answer.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
        error: quoted(&state.error.unwrap_or_default()),
        started_at: time(state.started_at),
        finished_at: time(state.finished_at),
    }
}
