"""Run by `python3 -m unittest`, without dockbell."""

import unittest

from dockbell import Batch, Event
from plugin import MyPlugin

CRASH = Event(engine="local", action="die", attributes=[("name", "web-1")], facts=[("cause", "crashed")])


class MyPluginTest(unittest.TestCase):
    def test_each_event_has_a_line(self):
        (made,) = MyPlugin({}).format(Batch(total=1, events=[CRASH]))
        self.assertEqual(made.subject, "1 events of default")
        self.assertEqual(made.alternatives[0].content, "local web-1 die\n")
        self.assertEqual(made.fields, [("severity", "error")])

    def test_nothing_is_left_out_silently(self):
        (made,) = MyPlugin({}).format(Batch(total=7, events=[CRASH], notes=["a gap"]))
        self.assertIn("7 events in all", made.alternatives[0].content)
        self.assertIn("note: a gap", made.alternatives[0].content)


if __name__ == "__main__":
    unittest.main()
