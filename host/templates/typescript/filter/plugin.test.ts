// Run by `npm test`, without dockbell.

import assert from "node:assert/strict";
import { test } from "node:test";

import { event } from "./dockbell/index.js";
import { MyPlugin } from "./plugin.js";

const ended = (exitCode: string) => event({ action: "die", attributes: { exitCode, name: "web-1" } });

test("only an exit code of its own passes", () => {
  const plugin = new MyPlugin({});
  assert.equal(plugin.accept(ended("3")), true);
  assert.equal(plugin.accept(ended("0")), false);
  assert.equal(plugin.accept(event({ action: "start" })), false);
});

test("the lowest exit code is configured", () => {
  assert.equal(new MyPlugin({ lowest: 4 }).accept(ended("3")), false);
});

test("a wrong configuration is refused", () => {
  assert.throws(() => new MyPlugin({ lowest: "all" }), /`lowest` must be an exit code/);
});
