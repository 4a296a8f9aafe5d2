//! One container: what its events mean together.

use super::history::History;
use super::{Inspected, add};
use crate::event::{Cause, Event, Fact};

/// How long after a request to stop a death still counts as its consequence: two minutes. Docker waits 10 s by default
/// before it kills, which `stop -t` and `stop_grace_period` prolong; beyond this the request was probably ignored.
const STOP_NANOS: i64 = 120 * 1_000_000_000;

/// Exit code of a process that SIGKILL ended, by whomever (128 + 9).
const KILLED: i64 = 137;

/// What is remembered of a container.
#[derive(Debug, Default)]
pub(super) struct Container {
    name: Option<String>,
    identity: Option<String>,
    /// When it started, if it runs and the start was seen.
    started: Option<i64>,
    /// Who last asked for its end, and when.
    intent: Option<(Intent, i64)>,
    /// Whether the kernel killed one of its processes for memory since the start. The container may live on.
    oom: bool,
    unhealthy_since: Option<i64>,
    /// Attributes that labels overwrite: seen on an event whose kind never has them.
    forged_exit_code: bool,
    forged_signal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Stop,
    Kill,
}

/// What a signal that somebody sent means.
fn intent_of(signal: u8) -> Option<Intent> {
    match signal {
        // INT, QUIT and TERM, and RTMIN+3, by which systemd is halted: the usual stop signals.
        2 | 3 | 15 | 37 => Some(Intent::Stop),
        9 => Some(Intent::Kill),
        // HUP, USR1, USR2 reload; WINCH stops one web server and means nothing elsewhere.
        _ => None,
    }
}

/// How long an identity may be, in bytes: labels have no limit, and identities are remembered.
const LONGEST_IDENTITY: usize = 256;

/// Who an event is about: compose `project/service`, else the container's name. The one fact that comes from labels, which
/// `Event::facts` otherwise never do: it groups and names, and decides nothing.
pub(super) fn identity(event: &Event) -> Option<String> {
    let label = |name| event.attribute(name).filter(|value| !value.is_empty());
    let mut identity = match (label("com.docker.compose.project"), label("com.docker.compose.service")) {
        (Some(project), Some(service)) => format!("{project}/{service}"),
        _ => label("name")?.to_owned(),
    };
    identity.truncate(identity.floor_char_boundary(LONGEST_IDENTITY));
    Some(identity)
}

impl Container {
    /// Its name, as far as it is known.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Remembers what every event says about its container.
    pub(super) fn learn(&mut self, event: &Event) {
        if let Some(name) = event.attribute("name").filter(|name| self.name.as_deref() != Some(name)) {
            self.name = Some(name.to_owned());
            self.identity = None;
        }
        if self.identity.is_none() {
            self.identity = identity(event);
        }
        self.forged_exit_code |= event.action != "die" && event.attribute("exitCode").is_some();
        self.forged_signal |= event.action != "kill" && event.attribute("signal").is_some();
    }

    /// Adds the facts of an event and remembers what it says.
    pub(super) fn observe(&mut self, event: &mut Event, history: &mut History, inspected: Inspected) {
        let at = event.time_nanos;
        if let Some(identity) = &self.identity {
            add(event, Fact::Identity, identity.clone());
        }
        match event.action.as_str() {
            "start" => self.start(event, history),
            "restart" => {
                // The last event of a restart. Its `stop` may have come behind its `start` and is not to be held against
                // the container that runs now.
                self.intent = None;
                add(event, Fact::Cause, Cause::Restarted.name().to_owned());
            }
            "stop" => {
                self.intent = Some((Intent::Stop, at));
                history.was_stopped();
            }
            "kill" => self.kill(event),
            "oom" => self.oom = true,
            "die" => self.die(event, history, inspected),
            "health_status" => self.health(event),
            _ => {}
        }
        history.pass(at);
        if matches!(event.action.as_str(), "start" | "die") && history.restarts() > 0 {
            add(event, Fact::Restarts, history.restarts().to_string());
        }
        if history.looping() {
            add(event, Fact::Looping, "true".to_owned());
        }
    }

    fn start(&mut self, event: &mut Event, history: &mut History) {
        self.started = Some(event.time_nanos);
        self.intent = None;
        self.oom = false;
        if let Some(nanos) = history.started(event.time_nanos) {
            add(event, Fact::RecoveredAfter, seconds(nanos));
        }
    }

    fn kill(&mut self, event: &mut Event) {
        let attribute = event.attribute("signal").filter(|_| !self.forged_signal);
        let Some(signal) = attribute.and_then(|signal| signal.parse::<u8>().ok()) else { return };
        add(event, Fact::Signal, signal.to_string());
        let at = event.time_nanos;
        self.intent = match (intent_of(signal), self.intent_at(at)) {
            // What Docker sends to a container that did not heed the stop.
            (Some(Intent::Kill), Some(Intent::Stop)) => Some((Intent::Stop, at)),
            (Some(intent), _) => Some((intent, at)),
            (None, _) => self.intent,
        };
    }

    fn die(&mut self, event: &mut Event, history: &mut History, inspected: Inspected) {
        let at = event.time_nanos;
        let attribute = event.attribute("exitCode").filter(|_| !self.forged_exit_code);
        let exit_code = inspected.exit_code.or_else(|| attribute.and_then(|code| code.parse().ok()));
        let up_nanos = self.started.map(|started| at.saturating_sub(started));
        let cause = match (self.intent_at(at), exit_code) {
            (Some(Intent::Stop), _) => Cause::Stopped,
            (Some(Intent::Kill), _) => Cause::Killed,
            // Also where a lesser process of it was killed for memory before.
            (None, Some(0)) => Cause::Finished,
            (None, Some(KILLED)) if self.oom => Cause::Oom,
            (None, _) if inspected.oom_killed => Cause::Oom,
            // With its exit code hidden by a label too: who tells too much errs on the right side.
            (None, _) => Cause::Crashed,
        };
        match cause {
            Cause::Stopped | Cause::Killed => history.was_ended(at),
            _ => history.fell(at, cause != Cause::Finished, up_nanos),
        }
        add(event, Fact::Cause, cause.name().to_owned());
        if let Some(code) = exit_code {
            add(event, Fact::ExitCode, code.to_string());
        }
        if let Some(nanos) = up_nanos {
            add(event, Fact::UpFor, seconds(nanos));
        }
        (self.started, self.intent, self.oom) = (None, None, false);
    }

    fn health(&mut self, event: &mut Event) {
        match event.detail.as_str() {
            "unhealthy" => {
                self.unhealthy_since.get_or_insert(event.time_nanos);
            }
            "healthy" => {
                if let Some(since) = self.unhealthy_since.take() {
                    add(event, Fact::RecoveredAfter, seconds(event.time_nanos.saturating_sub(since)));
                }
            }
            _ => {}
        }
    }

    /// Who asked for the container's end shortly before.
    fn intent_at(&self, now: i64) -> Option<Intent> {
        self.intent.filter(|(_, at)| now.saturating_sub(*at) <= STOP_NANOS).map(|(intent, _)| intent)
    }
}

/// Whole seconds; events a little out of order count as none.
fn seconds(nanos: i64) -> String {
    format!("{}s", nanos.max(0) / 1_000_000_000)
}
