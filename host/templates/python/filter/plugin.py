"""my-plugin: lets pass what happens to the containers that are named in its configuration.

    config = { names = ["shop-web-*", "shop-db-*"] }
"""

import logging
from fnmatch import fnmatchcase

from dockbell import Event, PluginError, export_filter

log = logging.getLogger(__name__)


class MyPlugin:
    def __init__(self, config: dict) -> None:
        self.names = config.get("names", ["*"])
        if not isinstance(self.names, list):
            raise PluginError('`names` must be a list, such as ["shop-web-*"]')
        log.debug("looks for %s", self.names)

    def accept(self, event: Event) -> bool:
        """True lets the event pass."""
        return any(fnmatchcase(event.who(), name) for name in self.names)


Setup, Filter = export_filter(MyPlugin)
