"""my-plugin: tells only containers that ended with an exit code of their own.

    config = { lowest = 2 }
"""

import logging

from dockbell import Event, PluginError, export_filter

log = logging.getLogger(__name__)


class MyPlugin:
    def __init__(self, config: dict) -> None:
        # The lowest exit code that is told.
        self.lowest = config.get("lowest", 1)
        if not isinstance(self.lowest, int):
            raise PluginError("`lowest` must be an exit code, such as 2")
        log.debug("tells exit codes from %d", self.lowest)

    def accept(self, event: Event) -> bool:
        """True lets the event pass."""
        code = event.attribute("exitCode")
        return event.action == "die" and code != "" and int(code) >= self.lowest


Setup, Filter, PackedFilter = export_filter(MyPlugin)
