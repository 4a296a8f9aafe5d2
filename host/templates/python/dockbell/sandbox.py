"""What a plugin finds around it inside dockbell: a log, and no machine. Outside, in tests, nothing of this does anything."""

from __future__ import annotations

import builtins
import io
import linecache
import logging
import os
import sys
import time
import traceback  # noqa: F401  `logging` wants it when there is an exception
from importlib.machinery import BuiltinImporter, FrozenImporter
from types import SimpleNamespace

import _strptime  # noqa: F401  what `strptime` imports when it is called

try:
    from componentize_py_types import Err
    from wit_world.imports import logging as host
    from wit_world.imports import types
except ImportError:  # Python itself, and not a component
    host = None


class PluginError(Exception):
    """An error whose text says everything."""


def failure(error: BaseException) -> Exception:
    """What a call is ended with. Any other exception than `Err` would end the whole plugin, and nobody would know why."""
    text = str(error)
    if not isinstance(error, PluginError):
        text = f"{type(error).__name__}{text and ': '}{text}{_place(error)}"
    return PluginError(text) if host is None else Err(text)


def _place(error: BaseException) -> str:
    """The author's own line that led to it."""
    place, frame = "", error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        file = os.path.basename(code.co_filename)
        if not code.co_filename.startswith(os.path.dirname(__file__)) and not code.co_filename.startswith("/python/"):
            place = f" ({file}, line {frame.tb_lineno}, in {code.co_name})"
        frame = frame.tb_next
    return place


def lend(event: type) -> None:
    """Gives dockbell's own events, whose type is made of the interface, the methods of ours."""
    if host is not None:
        types.Event.attribute, types.Event.fact, types.Event.who = event.attribute, event.fact, event.who


def enter() -> None:
    """Called before the plugin is made. What the machine would answer must not be asked: that would end the plugin."""
    if host is None:
        return
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), _Lines(host.Level.INFO), _Lines(host.Level.WARN)
    logging.getLogger().handlers[:] = [_ToDockbell()]
    # dockbell decides what is shown: `DOCKBELL_LOG=debug`.
    logging.getLogger().setLevel(logging.DEBUG)
    # A record wants to know when it was made; dockbell's log says it.
    logging.time = SimpleNamespace(time=lambda: 0.0, time_ns=lambda: 0)
    # Tracebacks look whether a file has changed since.
    linecache.checkcache = lambda filename=None: None
    linecache.updatecache = lambda filename, module_globals=None: []
    # Time zones come from files or from `tzdata`: see what a plugin has loaded by `ZoneInfo.from_file`.
    if "zoneinfo" in sys.modules:
        sys.modules["zoneinfo"].reset_tzpath(to=())
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, _Late]
    builtins.open = io.open = _absent("files: read what you need at the top of a module, when the plugin is built")
    for name in ["time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"]:
        setattr(time, name, _absent("clock: `event.time_nanos` is the time"))
    os.urandom = _absent("source of randomness: `random` gives the same numbers after each start")


def _absent(what: str):
    def refuse(*_args, **_named):
        raise PluginError(f"a plugin has no {what}")

    return refuse


class _Late:
    """Finds no module: they are loaded when the plugin is built."""

    @staticmethod
    def find_spec(name: str, path=None, target=None):
        raise ImportError(f"`{name}` is imported too late: import it at the top of a module")


class _ToDockbell(logging.Handler):
    """Records of `logging` become lines of dockbell's log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            lines = self.format(record).splitlines()
        except Exception:
            self.handleError(record)
            return
        steps = [(logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"), (logging.DEBUG, "DEBUG")]
        level = next((name for least, name in steps if record.levelno >= least), "TRACE")
        for line in lines:
            host.log(host.Level[level], line)


class _Lines(io.TextIOBase):
    """What is printed becomes lines of dockbell's log."""

    def __init__(self, level) -> None:
        self.level, self.rest = level, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            host.log(self.level, line)
        self.rest = self.rest[-4096:]
        return len(text)
