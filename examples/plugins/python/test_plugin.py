"""Run by `.venv/bin/python -m unittest`, without dockbell."""

import unittest
from datetime import datetime
from zoneinfo import ZoneInfo

from dockbell import Event, PluginError
from plugin import OnCall

BERLIN = {"zone": "Europe/Berlin", "hours": {"mon-fri": ["08:00-18:00"], "sat": ["22:00-06:00"]}}


def event(local: str, zone: str = "Europe/Berlin", **fields) -> Event:
    time = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    return Event(action="start", time_nanos=int(time.timestamp()) * 1_000_000_000, **fields)


class OnCallTest(unittest.TestCase):
    def assert_on_duty(self, config: dict, times: dict[str, bool]) -> None:
        plugin = OnCall(config)
        for time, expected in times.items():
            with self.subTest(time):
                self.assertIs(plugin.accept(event(time)), expected)

    def test_hours_of_a_week(self):
        self.assert_on_duty(BERLIN, {
            "2026-11-23 07:59": False, "2026-11-23 08:00": True,  # a Monday
            "2026-11-27 17:59": True, "2026-11-27 18:00": False,
            "2026-11-22 12:00": False,
        })

    def test_a_night_belongs_to_the_day_on_which_it_begins(self):
        self.assert_on_duty(BERLIN, {
            "2026-11-21 21:59": False, "2026-11-21 22:00": True,  # a Saturday
            "2026-11-22 05:59": True, "2026-11-22 06:00": False,
        })
        self.assert_on_duty(BERLIN | {"holidays": ["2026-11-21"]}, {"2026-11-21 23:00": False, "2026-11-22 05:00": False})
        self.assert_on_duty(BERLIN | {"holidays": ["2026-11-22"]}, {"2026-11-22 05:00": True})

    def test_holidays_have_no_hours(self):
        holidays = ["2026-11-24", "12-25", "2026-12-28..2027-01-01"]
        self.assert_on_duty(BERLIN | {"holidays": holidays}, {
            "2026-11-23 12:00": True, "2026-11-24 12:00": False, "2027-11-24 12:00": True,
            "2026-12-25 12:00": False, "2028-12-25 12:00": False,
            "2026-12-28 12:00": False, "2027-01-01 12:00": False, "2027-01-04 12:00": True,
        })

    def test_summer_time_moves_the_hours(self):
        plugin = OnCall(BERLIN)
        # 06:30 UTC is 07:30 in winter and 08:30 in summer.
        self.assertFalse(plugin.accept(event("2026-03-27 06:30", "UTC")))
        self.assertTrue(plugin.accept(event("2026-03-30 06:30", "UTC")))

    def test_a_range_of_days_may_pass_the_end_of_the_week(self):
        config = {"hours": {"sat-mon": ["00:00-24:00"]}}
        for day, expected in {21: True, 22: True, 23: True, 24: False, 27: False}.items():
            self.assertIs(OnCall(config).accept(event(f"2026-11-{day} 12:00", "UTC")), expected)

    def test_what_cannot_wait_is_told_at_any_time(self):
        night = "2026-11-23 03:00"
        crash = event(night, facts=[("cause", "crashed")])
        crash.action = "die"
        recovered = event(night, facts=[("recovered-after", "9s")])
        oom = event(night)
        oom.action = "oom"
        for outside, expected in {
            "error": [True, True, False], "warning": [True, True, True], "never": [False, False, False],
        }.items():
            plugin = OnCall(BERLIN | {"outside": outside})
            self.assertEqual([plugin.accept(event) for event in (crash, recovered, oom)], expected)

    def test_a_label_cannot_make_an_event_severe(self):
        forged = event("2026-11-23 03:00", attributes=[("cause", "crashed")])
        forged.action = "die"
        self.assertFalse(OnCall(BERLIN).accept(forged))

    def test_a_wrong_configuration_is_refused_with_what_would_be_right(self):
        for config, message in [
            ({"zone": "Berlin"}, "`Europe/Berlin`"),
            ({"hours": []}, "`hours` must be a table"),
            ({"hours": {"monday": []}}, "`mon`"),
            ({"hours": {"mon": ["8-18"]}}, "`08:00-18:00`"),
            ({"hours": {"mon": ["08:00-08:00"]}}, "`hours.mon`"),
            ({"hours": {"mon": ["08:00-25:00"]}}, "`hours.mon`"),
            ({"holidays": "12-25"}, "`holidays` must be a list"),
            ({"holidays": ["02-30"]}, "'02-30'"),
            ({"holidays": ["12-25..2027-01-01"]}, "`holidays`"),
            ({"outside": "all"}, "error, warning, never"),
            ({"zones": "UTC"}, "`zones`"),
        ]:
            with self.subTest(config), self.assertRaisesRegex(PluginError, message):
                OnCall(config)


if __name__ == "__main__":
    unittest.main()
