"""Time zones. A component has no files, so those of the package `tzdata` are read when the plugin is built."""

from importlib import resources
from io import BytesIO
from zoneinfo import ZoneInfo

from dockbell import PluginError


def _read() -> dict[str, bytes]:
    package = resources.files("tzdata")
    # Many zones have several names.
    contents: dict[bytes, bytes] = {}
    zones = {}
    for name in package.joinpath("zones").read_text().split():
        content = package.joinpath("zoneinfo", *name.split("/")).read_bytes()
        zones[name] = contents.setdefault(content, content)
    return zones


_ZONES = _read()


def zone(name: object) -> ZoneInfo:
    """The time zone of that name, such as `Europe/Berlin`."""
    content = _ZONES.get(name) if isinstance(name, str) else None
    if content is None:
        raise PluginError(f"`zone` names no time zone: {name!r}; right would be `Europe/Berlin`, say, or `UTC`")
    return ZoneInfo.from_file(BytesIO(content), key=name)
