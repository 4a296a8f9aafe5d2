"""Run by `python3 -m unittest`, without dockbell."""

import unittest

from dockbell import Event, PluginError
from plugin import MyPlugin


def event(name: str) -> Event:
    return Event(action="die", attributes=[("name", name)], facts=[("cause", "crashed")])


class MyPluginTest(unittest.TestCase):
    def test_only_what_is_named_passes(self):
        plugin = MyPlugin({"names": ["shop-*"]})
        self.assertTrue(plugin.accept(event("shop-web-1")))
        self.assertFalse(plugin.accept(event("blog-web-1")))

    def test_without_configuration_everything_passes(self):
        self.assertTrue(MyPlugin({}).accept(event("blog-web-1")))

    def test_a_wrong_configuration_is_refused(self):
        with self.assertRaisesRegex(PluginError, "`names` must be a list"):
            MyPlugin({"names": 1})


if __name__ == "__main__":
    unittest.main()
