"""How much an event matters."""

from dockbell import Event

INFO, WARNING, ERROR, NEVER = range(4)

_OWN = {"engine_lost", "gap", "plugin_failed", "sink_failed", "dead_letter"}


def severity(event: Event) -> int:
    """`ERROR` where something is broken, or was and is not any more: who is told of the one wants to know of the other."""
    action = event.action
    if action == "die":
        # dockbell found it out itself: no label can forge it.
        return {"crashed": ERROR, "oom": ERROR, "killed": WARNING}.get(event.fact("cause"), INFO)
    if action == "health_status" and event.detail == "unhealthy":
        return ERROR
    if action in ("start", "health_status") and event.fact("recovered-after"):
        return ERROR
    if action == "oom":
        return WARNING
    if event.kind == "dockbell" and (action in _OWN or action in ("engine_back", "plugin_recovered")):
        return ERROR
    return INFO
