// Run by `npm test`, without dockbell.

import assert from "node:assert/strict";
import { test } from "node:test";

import { event } from "./dockbell/index.js";
import { MyPlugin } from "./plugin.js";

const died = (name: string) => event({ action: "die", attributes: { name }, facts: { cause: "crashed" } });

test("only what is named passes", () => {
  const plugin = new MyPlugin({ names: ["shop-web-1"] });
  assert.equal(plugin.accept(died("shop-web-1")), true);
  assert.equal(plugin.accept(died("blog-web-1")), false);
});

test("without configuration everything passes", () => {
  assert.equal(new MyPlugin({}).accept(died("blog-web-1")), true);
});

test("a wrong configuration is refused", () => {
  assert.throws(() => new MyPlugin({ names: 1 }), /`names` must be a list/);
});
