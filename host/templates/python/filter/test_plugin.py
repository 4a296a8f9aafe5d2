"""Run by `python3 -m unittest`, without dockbell."""

import unittest

from dockbell import Event, PluginError
from plugin import MyPlugin


def ended(code: str) -> Event:
    return Event(action="die", attributes=[("exitCode", code), ("name", "web-1")])


class MyPluginTest(unittest.TestCase):
    def test_only_an_exit_code_of_its_own_passes(self):
        plugin = MyPlugin({})
        self.assertTrue(plugin.accept(ended("3")))
        self.assertFalse(plugin.accept(ended("0")))
        self.assertFalse(plugin.accept(Event(action="start")))

    def test_the_lowest_exit_code_is_configured(self):
        self.assertFalse(MyPlugin({"lowest": 4}).accept(ended("3")))

    def test_a_wrong_configuration_is_refused(self):
        with self.assertRaisesRegex(PluginError, "`lowest` must be an exit code"):
            MyPlugin({"lowest": "all"})


if __name__ == "__main__":
    unittest.main()
