"""Filters and formatters for dockbell in Python.

Each `dockbell plugin build` writes this folder anew: change nothing here. `wit/v0.1` in it says what each field means.

    class Crashes:
        def __init__(self, config): ...            # the plugin's table of the configuration
        def accept(self, event): return event.fact("cause") == "crashed"

    Setup, Filter, PackedFilter = export_filter(Crashes)
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Callable, Protocol

from . import sandbox
from .sandbox import PluginError

__all__ = [
    "Alternative", "Batch", "Event", "FilterPlugin", "FormatterPlugin", "Notification", "PluginError",
    "export_filter", "export_formatter", "message",
]


@dataclass
class Event:
    """One event of a container engine."""

    engine: str = ""
    kind: str = "container"
    action: str = ""
    detail: str = ""
    actor_id: str = ""
    scope: str = "local"
    time_nanos: int = 0
    attributes: list[tuple[str, str]] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)

    def attribute(self, name: str, default: str = "") -> str:
        """What the engine says. Whoever builds an image can forge each but `name` and `image`."""
        for key, value in self.attributes:
            if key == name:
                return value
        return default

    def fact(self, name: str, default: str = "") -> str:
        """What dockbell found out itself, such as `cause`; no label can forge it."""
        for key, value in self.facts:
            if key == name:
                return value
        return default

    def who(self) -> str:
        """Who the event is about, for people."""
        return self.attribute("name") or self.fact("identity") or self.actor_id[:12]


def _part(at: int) -> Any:
    return cached_property(lambda event: event._text_at(at))


class _Packed(Event):
    """An event whose texts came in one. Each is cut out when it is asked for: most filters look at two or three of forty."""

    # To `==`, `repr` and `dataclasses.replace` it is an `Event` like any other.
    __class__ = Event

    def __init__(self, packed: Any) -> None:
        text = packed.text
        # `ends` counts bytes of UTF-8.
        self._text = text if text.isascii() else text.encode()
        self._ends = memoryview(packed.ends).cast("I")
        self._facts_at = 6 + 2 * packed.attributes
        self.time_nanos = packed.time_nanos

    engine, kind, action, detail, actor_id, scope = map(_part, range(6))
    attributes = cached_property(lambda event: event._pairs(6, event._facts_at))
    facts = cached_property(lambda event: event._pairs(event._facts_at, len(event._ends)))

    def attribute(self, name: str, default: str = "") -> str:
        return self._value(name, 6, self._facts_at, default)

    def fact(self, name: str, default: str = "") -> str:
        return self._value(name, self._facts_at, len(self._ends), default)

    def _text_at(self, at: int) -> str:
        text = self._text[self._ends[at - 1] if at else 0:self._ends[at]]
        return text if isinstance(text, str) else text.decode()

    def _pairs(self, begin: int, end: int) -> list[tuple[str, str]]:
        return [(self._text_at(at), self._text_at(at + 1)) for at in range(begin, end, 2)]

    def _value(self, name: str, begin: int, end: int, default: str) -> str:
        text, ends = self._text, self._ends
        wanted = name if isinstance(text, str) else name.encode()
        place = text.find(wanted, ends[begin - 1])
        while place >= 0:
            # The text that is not empty and begins there, if one does.
            at = bisect_right(ends, place)
            if at >= end:
                break
            if (at - begin) % 2 == 0 and ends[at - 1] == place and ends[at] == place + len(wanted):
                return self._text_at(at + 1)
            place = text.find(wanted, place + 1)
        return default


@dataclass
class Batch:
    """What one message is made of."""

    route: str = "default"
    group: str = ""
    phase: str = "first"
    since_nanos: int = 0
    until_nanos: int = 0
    total: int = 0
    counts: list[tuple[str, int]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Alternative:
    """One way to write a message's content."""

    media_type: str
    content: str


@dataclass
class Notification:
    """A message to deliver; `text/plain` must be among its alternatives."""

    subject: str
    alternatives: list[Alternative]
    fields: list[tuple[str, str]] = field(default_factory=list)


def message(subject: str, forms: dict[str, str], **fields: str) -> Notification:
    """A message: `message("db-1 is down", {"text/plain": text}, severity="error")`."""
    return Notification(subject, [Alternative(*form) for form in forms.items()], list(fields.items()))


class FilterPlugin(Protocol):
    def accept(self, event: Event) -> bool: ...


class FormatterPlugin(Protocol):
    def format(self, batch: Batch) -> list[Notification]: ...


def export_filter(plugin: Callable[[Any], FilterPlugin]) -> tuple[type, type, type]:
    """What dockbell calls: `Setup, Filter, PackedFilter = export_filter(MyPlugin)` at the top of `plugin.py`.

    `plugin` is given the plugin's configuration as a `dict`. An exception is told as the call's error, and the plugin goes on:
    of a `PluginError` its text, of any other its type and place too.
    """
    setup = _setup(plugin)

    class Filter:
        def accept(self, event: Event) -> bool:
            try:
                answer = setup.plugin.accept(event)
                if answer is True or answer is False:
                    return answer
                raise PluginError(f"`accept` must return True or False, and returned {answer!r:.80}")
            except BaseException as error:
                raise sandbox.failure(error) from None

    class PackedFilter(Filter):
        def accept(self, event: Any) -> bool:
            return super().accept(_Packed(event))

    return setup, Filter, PackedFilter


def export_formatter(plugin: Callable[[Any], FormatterPlugin]) -> tuple[type, type]:
    """The same for a formatter: `Setup, Formatter = export_formatter(MyPlugin)`."""
    setup = _setup(plugin)

    class Formatter:
        def format(self, batch: Batch) -> list[Notification]:
            try:
                return [_checked(made) for made in setup.plugin.format(batch)]
            except BaseException as error:
                raise sandbox.failure(error) from None

    return setup, Formatter


def _setup(make: Callable[[Any], Any]) -> Any:
    class Setup:
        plugin: Any = None

        def configure(self, config: str) -> None:
            try:
                sandbox.enter()
                Setup.plugin = make(json.loads(config))
            except BaseException as error:
                raise sandbox.failure(error) from None

    return Setup


def _checked(made: Notification) -> Notification:
    """The message with texts only: anything else would end the plugin while dockbell is given it."""
    forms = [Alternative(_text(form.media_type), _text(form.content)) for form in made.alternatives]
    return Notification(_text(made.subject), forms, [(_text(name), _text(value)) for name, value in made.fields])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise PluginError(f"a message holds texts only, and not {value!r:.80}")
    # Half a character cannot be written in UTF-8.
    return value.encode("utf-8", "replace").decode()


sandbox.lend(Event)
