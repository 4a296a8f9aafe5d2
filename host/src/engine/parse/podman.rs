//! Podman's words, said as Docker would.

use crate::event::Event;

/// Changes what Podman calls by another name. Where Docker uses the same word for something else it is left alone: swarm
/// networks, secrets and the like are `remove`d, but they have the scope `swarm`.
pub(super) fn translate(event: &mut Event, health: &str) {
    let kind = event.kind.as_str();
    let action = match (kind, event.action.as_str()) {
        ("container", "died") => "die",
        ("container", "exec") => "exec_start",
        ("container", "exec_died") => "exec_die",
        ("container" | "volume" | "network", "remove") if event.scope == "local" => "destroy",
        ("image", "remove") => "delete",
        (_, unchanged) => unchanged,
    };
    if action != event.action {
        event.action = action.into();
    }
    if matches!(event.action.as_str(), "die" | "exec_die") && event.attribute("exitCode").is_none() {
        copy(event, "containerExitCode", "exitCode");
    }
    if event.action == "health_status" && event.detail.is_empty() {
        event.detail = if health.is_empty() {
            let attribute = event.attribute("health_status").or_else(|| event.attribute("HealthStatus"));
            attribute.unwrap_or_default().into()
        } else {
            health.into()
        };
    }
}

fn copy(event: &mut Event, from: &str, to: &str) {
    if let Some(value) = event.attribute(from).map(ToOwned::to_owned) {
        event.attributes.push(to, &value);
        event.attributes.sort();
    }
}
