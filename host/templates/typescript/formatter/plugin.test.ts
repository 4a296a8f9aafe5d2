// Run by `npm test`, without dockbell.

import assert from "node:assert/strict";
import { test } from "node:test";

import { batch, event } from "./dockbell/index.js";
import { MyPlugin } from "./plugin.js";

const crash = event({
  engine: "local",
  action: "die",
  attributes: { name: "web-1" },
  facts: { cause: "crashed" },
});

test("each event has a line", () => {
  const [made] = new MyPlugin({}).format(batch([crash]));
  assert.equal(made?.subject, "1 events of default");
  assert.equal(made?.alternatives[0]?.content, "local web-1 die\n");
  assert.deepEqual(made?.fields, [["severity", "error"]]);
});

test("nothing is left out silently", () => {
  const [made] = new MyPlugin({}).format(batch([crash], { total: 7, notes: ["a gap"] }));
  assert.match(made?.alternatives[0]?.content ?? "", /7 events in all/);
  assert.match(made?.alternatives[0]?.content ?? "", /note: a gap/);
});
