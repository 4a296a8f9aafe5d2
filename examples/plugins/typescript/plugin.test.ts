// Run by `npm test`, without dockbell.

import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_BLOCKS, MAX_HEADER, MAX_TEXT } from "./blocks.js";
import type { Block } from "./blocks.js";
import { batch, event } from "./dockbell/index.js";
import type { Batch, Config } from "./dockbell/index.js";
import { SlackBlocks } from "./plugin.js";

const NOON = 1_795_348_800_000_000_000;

function died(name: string, attributes: Record<string, string> = {}) {
  const facts = { cause: "crashed", "exit-code": "1" };
  return event({ action: "die", timeNanos: NOON, attributes: { name, ...attributes }, facts });
}

function format(batch: Batch, config: Config = {}) {
  const [made] = new SlackBlocks(config).format(batch);
  assert.ok(made);
  const form = (type: string) => made.alternatives.find((form) => form.mediaType === type)?.content ?? "";
  const { text, blocks } = JSON.parse(form("application/json")) as { text: string; blocks: Block[] };
  return { ...made, plain: form("text/plain"), text, blocks, texts: blocks.map(textOf) };
}

function textOf(block: Block): string {
  return block.type === "context" ? block.elements.map((element) => element.text).join() : block.text.text;
}

function assertFits(blocks: Block[]): void {
  assert.ok(blocks.length <= MAX_BLOCKS, `${blocks.length} blocks`);
  for (const block of blocks) {
    const limit = block.type === "header" ? MAX_HEADER : MAX_TEXT;
    const { length } = textOf(block);
    assert.ok(length > 0 && length <= limit, `${block.type} of ${length} characters`);
  }
}

test("one event is a header, a line and its route", () => {
  const made = format(batch([died("web-1", { image: "shop/web:1.2" })]));
  assert.equal(made.subject, "web-1 crashed (exit 1)");
  assert.deepEqual(made.blocks.map((block) => block.type), ["header", "section", "context"]);
  assert.deepEqual(made.texts, [
    "web-1 crashed (exit 1)",
    ":red_circle: `12:00:00` `web-1` *crashed (exit 1)* · shop/web\u200b:1.2",
    "Route `default`, 2026-11-22 UTC",
  ]);
  assert.equal(made.plain, "web-1 crashed (exit 1)\n\n2026-11-22 12:00:00  web-1 crashed (exit 1) · shop/web:1.2\n");
  assert.deepEqual(made.fields, [["severity", "error"]]);
});

test("what comes from outside cannot mention, link or format", () => {
  const made = format(batch([died("<!channel> & `x`", { image: "*a* _b_ :fire: <https://c|d>" })], { notes: ["<@U1>"] }));
  const all = made.texts.slice(1).join("\n") + made.text;
  assert.ok(!all.includes("<"), all);
  assert.ok(made.texts[1]?.includes("`&lt;!channel&gt; &amp; ˋxˋ`"), made.texts[1]);
  assert.ok(made.texts[1]?.includes("\u200b*a\u200b* \u200b_b\u200b_ \u200b:fire\u200b:"), made.texts[1]);
});

test("a full batch of long values keeps Slack's limits and shows all events", () => {
  const long = "x".repeat(500);
  const events = Array.from({ length: 100 }, (_, index) => died(`${index}-${long}`, { image: long }));
  const made = format(batch(events));
  assertFits(made.blocks);
  assert.equal(made.texts.join("\n").match(/red_circle/g)?.length, 100);
});

test("what escaping makes of the worst values keeps Slack's limits, too", () => {
  const worst = "&".repeat(3000);
  const events = Array.from({ length: 100 }, () => died(worst, { image: worst }));
  const notes = Array.from({ length: 60 }, () => worst);
  const counts = Array.from({ length: 300 }, (_, index): [string, number] => [`${worst}${index}`, 1]);
  const made = format(batch(events, { notes, counts, route: worst }), { mention: "here" });
  assertFits(made.blocks);
  assert.ok(made.texts.some((text) => text === "More notes do not fit in here."));
});

test("no character is cut in half", () => {
  const made = format(batch([died("💥".repeat(200))]));
  assert.ok(JSON.stringify(made.blocks).isWellFormed());
  assert.doesNotMatch(JSON.stringify(made.blocks), /\\ud[89a-f]/);
});

test("nothing is left out silently", () => {
  const made = format(batch([died("a"), died("b")], { total: 9, notes: ["a gap of 3 s"] }));
  assert.match(made.texts.join("\n"), /`a`[^]*_7 events are left out here_\n[^]*`b`[^]*:warning: a gap of 3 s/);
  assert.match(made.plain, /7 events are left out[^]*Note: a gap of 3 s/);
});

test("the end of trouble is told without any event", () => {
  const made = format(batch([], { phase: "closing", sinceNanos: 0, untilNanos: 0 }), { mention: "here" });
  assert.equal(made.subject, "trouble ended");
  assertFits(made.blocks);
  assert.ok(!made.texts.includes("<!here>"));
});

test("somebody is mentioned where something is broken", () => {
  const start = event({ action: "start", attributes: { name: "web-1" } });
  const mentions = { here: "<!here>", U012AB3CD: "<@U012AB3CD>", S012AB3CD: "<!subteam^S012AB3CD>" };
  for (const [mention, expected] of Object.entries(mentions)) {
    assert.ok(format(batch([died("a")]), { mention }).texts.includes(expected));
    assert.ok(!format(batch([start]), { mention }).texts.includes(expected));
  }
});

test("a wrong configuration is refused with what would be right", () => {
  assert.throws(() => new SlackBlocks({ mention: "everyone" }), /"here", "channel"/);
  assert.throws(() => new SlackBlocks({ channel: "ops" }), /there is `mention`/);
});
