"""my-plugin: one line per event."""

from dockbell import Batch, Event, Notification, export_formatter, message


class MyPlugin:
    def __init__(self, config: dict) -> None:
        """`config` is the plugin's table of the configuration."""

    def format(self, batch: Batch) -> list[Notification]:
        """The messages for a batch, at least one."""
        lines = [f"{event.engine} {event.who()} {event.action}" for event in batch.events]
        if batch.total > len(batch.events):
            lines.append(f"{batch.total} events in all: only the first and the last are shown")
        # Gaps, late events, plugins that failed: the reader must know.
        lines += [f"note: {note}" for note in batch.notes]
        subject = f"{batch.total} events of {batch.group or batch.route}"
        severity = "error" if any(is_trouble(event) for event in batch.events) else "info"
        return [message(subject, {"text/plain": "\n".join(lines) + "\n"}, severity=severity)]


def is_trouble(event: Event) -> bool:
    return event.fact("cause") in ("crashed", "oom") or event.detail == "unhealthy"


Setup, Formatter = export_formatter(MyPlugin)
