"""my-plugin: one line for each event.

    config = { title = "What happened" }
"""

from datetime import datetime, timezone

from dockbell import Batch, Event, Notification, PluginError, export_formatter, message


class MyPlugin:
    def __init__(self, config: dict) -> None:
        self.title = config.get("title", "")
        if not isinstance(self.title, str):
            raise PluginError("`title` must be a text")

    def format(self, batch: Batch) -> list[Notification]:
        """The messages for a batch, at least one."""
        lines = [line(event) for event in batch.events]
        if batch.total > len(batch.events):
            lines.append(f"{batch.total} events in all: only the first and the last are shown")
        # Gaps, late events, plugins that failed: the reader must know.
        lines += [f"note: {note}" for note in batch.notes]
        title = self.title or ("1 event" if batch.total == 1 else f"{batch.total} events")
        severity = "error" if any(is_trouble(event) for event in batch.events) else "info"
        return [message(title, {"text/plain": "\n".join(lines) + "\n"}, severity=severity)]


def line(event: Event) -> str:
    time = datetime.fromtimestamp(event.time_nanos // 1_000_000_000, timezone.utc)
    words = [f"{time:%H:%M:%S}", event.who(), event.action, event.detail, event.fact("cause")]
    return " ".join(word for word in words if word)


def is_trouble(event: Event) -> bool:
    return event.fact("cause") in ("crashed", "oom") or event.detail == "unhealthy"


Setup, Formatter = export_formatter(MyPlugin)
