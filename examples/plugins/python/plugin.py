"""on-call: within hours everything is told, and outside of them only what cannot wait."""

from datetime import datetime

from dockbell import Event, PluginError, export_filter
from hours import Hours
from severity import ERROR, NEVER, WARNING, severity
from zones import zone

OUTSIDE = {"error": ERROR, "warning": WARNING, "never": NEVER}
MINUTE = 60_000_000_000


class OnCall:
    def __init__(self, config: dict) -> None:
        known = {"zone", "hours", "holidays", "outside"}
        if unknown := sorted(config.keys() - known):
            raise PluginError(f"there is no key `{unknown[0]}`: there are {', '.join(sorted(known))}")
        self.zone = zone(config.get("zone", "UTC"))
        self.hours = Hours(config.get("hours", {}), config.get("holidays", []))
        outside = config.get("outside", "error")
        if outside not in OUTSIDE:
            raise PluginError(f"`outside` is {outside!r}; right would be one of {', '.join(OUTSIDE)}")
        self.outside = OUTSIDE[outside]
        self.minute, self.on_duty = -1, False

    def accept(self, event: Event) -> bool:
        return severity(event) >= self.outside or self.is_on_duty(event.time_nanos)

    def is_on_duty(self, nanos: int) -> bool:
        minute = nanos // MINUTE
        # Events come close together, and the answer changes at full minutes only.
        if minute != self.minute:
            self.on_duty = self.hours.contain(datetime.fromtimestamp(minute * 60, self.zone))
            self.minute = minute
        return self.on_duty


Setup, Filter, PackedFilter = export_filter(OnCall)
