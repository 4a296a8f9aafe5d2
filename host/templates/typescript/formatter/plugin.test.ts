// Run by `npm test`, without dockbell.

import assert from "node:assert/strict";
import { test } from "node:test";

import { batch, event } from "./dockbell/index.js";
import { MyPlugin } from "./plugin.js";

const crash = event({
  action: "die",
  timeNanos: 1_795_331_484_283_292_298,
  attributes: { name: "web-1" },
  facts: { cause: "crashed" },
});

test("each event has a line", () => {
  const [made] = new MyPlugin({}).format(batch([crash]));
  assert.equal(made?.subject, "1 event");
  assert.equal(made?.alternatives[0]?.content, "07:11:24 web-1 die crashed\n");
  assert.deepEqual(made?.fields, [["severity", "error"]]);
});

test("nothing is left out silently", () => {
  const [made] = new MyPlugin({}).format(batch([crash], { total: 7, notes: ["a gap"] }));
  assert.match(made?.alternatives[0]?.content ?? "", /7 events in all/);
  assert.match(made?.alternatives[0]?.content ?? "", /note: a gap/);
});
