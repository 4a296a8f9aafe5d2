"""When somebody is on duty: hours of the week, and days without any."""

import re
from datetime import date, datetime, timedelta

from dockbell import PluginError

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAY = 24 * 60

# Minutes after the midnight with which a day begins; the end of a night is after the next one.
Span = tuple[int, int]


class Hours:
    """`{"mon-fri": ["08:00-18:00"], "sat": ["22:00-06:00"]}`. A night belongs to the day on which it begins."""

    def __init__(self, hours: object, holidays: object) -> None:
        self.spans: list[list[Span]] = [[] for _ in DAYS]
        if not isinstance(hours, dict):
            raise PluginError('`hours` must be a table, such as { mon-fri = ["08:00-18:00"] }')
        for days, spans in hours.items():
            for day in _days(days):
                self.spans[day] += [_span(days, span) for span in _texts(f"hours.{days}", spans)]
        self.holidays = [_holiday(text) for text in _texts("holidays", holidays)]

    def contain(self, time: datetime) -> bool:
        """Whether somebody is on duty at a local time."""
        today, minute = time.date(), time.hour * 60 + time.minute
        return self._on(today, minute) or self._on(today - timedelta(days=1), minute + DAY)

    def _on(self, day: date, minute: int) -> bool:
        spans = self.spans[day.weekday()]
        return any(begin <= minute < end for begin, end in spans) and not self._is_holiday(day)

    def _is_holiday(self, day: date) -> bool:
        text = day.isoformat()
        return any(first <= (text if len(first) == 10 else text[5:]) <= last for first, last in self.holidays)


def _days(text: str) -> list[int]:
    first, _, last = text.partition("-")
    if first not in DAYS or (last or first) not in DAYS:
        raise PluginError(f"`hours` has a day that there is not: {text!r}; right would be `mon`, or `mon-fri`")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)]


def _span(days: str, text: str) -> Span:
    found = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", text)
    if found:
        hour, minute, end_hour, end_minute = map(int, found.groups())
        begin, end = hour * 60 + minute, end_hour * 60 + end_minute
        if minute < 60 and end_minute < 60 and begin < DAY and end <= DAY and begin != end:
            return begin, end if end > begin else end + DAY
    raise PluginError(f"`hours.{days}` has {text!r}; right would be `08:00-18:00`, or `22:00-06:00` for a night")


def _holiday(text: str) -> tuple[str, str]:
    """The first and the last day of it: `2026-12-25`, `12-25` for each year, `2026-12-24..2027-01-01`."""
    first, between, last = text.partition("..")
    days = [first, last] if between else [first]
    try:
        for day in days:
            # A year with a 29th of February.
            date.fromisoformat(f"2000-{day}" if len(day) == 5 else day)
    except ValueError:
        days = []
    if not days or any(len(day) != len(first) or len(day) not in (5, 10) for day in days) or days[0] > days[-1]:
        raise PluginError(f"`holidays` has {text!r}; right would be `2026-12-25`, `12-25` or `2026-12-24..2027-01-01`")
    return days[0], days[-1]


def _texts(key: str, texts: object) -> list[str]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise PluginError(f"`{key}` must be a list of texts")
    return texts
