// Run by `npm test`, without dockbell.

import assert from "node:assert/strict";
import { test } from "node:test";

import { batch, event } from "./dockbell/index.js";
import { code, escape } from "./markdown.js";
import { Markdown } from "./plugin.js";

const NOON = 1_795_348_800_000_000_000;
const died = (name, facts = { cause: "crashed", "exit-code": "1" }) =>
  event({ action: "die", timeNanos: NOON, attributes: { name, image: "shop/web:1.2" }, facts });
const format = (batch, config = {}) => {
  const [made] = new Markdown(config).format(batch);
  return { ...made, ...Object.fromEntries(made.alternatives.map((form) => [form.mediaType, form.content])) };
};

test("one event is one line, in both forms", () => {
  const made = format(batch([died("web-1", { cause: "crashed", "exit-code": "1", "up-for": "4s" })]));
  assert.equal(made.subject, "web-1 crashed (exit 1)");
  assert.equal(
    made["text/plain"],
    "web-1 crashed (exit 1)\n\n2026-11-22 UTC\n12:00:00  web-1 crashed (exit 1) · shop/web:1.2 · ran for 4s\n",
  );
  assert.equal(
    made["text/markdown"],
    "**web\\-1 crashed \\(exit 1\\)**\n\n2026\\-11\\-22 UTC\n\n" +
      "- `12:00:00` web\\-1 **crashed \\(exit 1\\)** · `shop/web:1.2` · ran for 4s\n",
  );
  assert.deepEqual(made.fields, [["severity", "error"]]);
});

test("the subject names the worst first and counts what repeats", () => {
  const start = event({ action: "start", attributes: { name: "db-1" } });
  const made = format(batch([start, died("web-1"), died("web-1")]));
  assert.equal(made.subject, "3 events: web-1 crashed (exit 1) ×2, db-1 start");
  assert.match(made["text/markdown"], /\| 2 \| container die \|\n\| 1 \| container start \|/);
});

test("nothing is left out silently", () => {
  const made = format(batch([died("a"), died("b")], { total: 9, notes: ["a gap *of* 3 s"] }));
  for (const form of ["text/plain", "text/markdown"]) assert.match(made[form], /a[^]*7 events are left out here[^]*b/);
  assert.match(made["text/markdown"], /> \*\*Note:\*\* a gap \\\*of\\\* 3 s/);
});

test("the end of trouble is told without any event", () => {
  const made = format(batch([], { phase: "closing", notes: ["no more restarts"], sinceNanos: 0, untilNanos: 0 }));
  assert.equal(made.subject, "trouble ended");
  assert.deepEqual(made.fields, [["severity", "info"]]);
});

test("what comes from outside cannot make Markdown", () => {
  assert.equal(escape("*a* [b](https://c) <d> @e\n# f"), "\\*a\\* \\[b\\]\\(https\\:\\/\\/c\\) \\<d\\> \\@e \\# f");
  assert.equal(code("a`b``c"), "``` a`b``c ```");
  const made = format(batch([died("a|b\u202e`c`\u0007")]));
  assert.match(made["text/markdown"], /^- `12:00:00` a\\\|b\\`c\\` /m);
});

test("a command line, which can hold secrets, is not told", () => {
  const made = format(batch([event({ action: "exec_create", detail: "login --password x", attributes: { name: "a" } })]));
  assert.doesNotMatch(JSON.stringify(made), /password/);
});

test("chats get it as JSON, cut at the end of a line", () => {
  const events = Array.from({ length: 20 }, (_, index) => died(`web-${index}`));
  const text = JSON.parse(format(batch(events), { json: "text" })["application/json"]).text;
  assert.match(text, /web\\-19/);
  const cut = JSON.parse(format(batch(events), { json: "body", limit: 500 })["application/json"]).body;
  assert.ok(cut.length <= 500, `${cut.length} characters`);
  const shown = cut.match(/^- /gm).length;
  assert.ok(cut.endsWith(`\n\n*${20 - shown} more lines do not fit in here*`), cut);
});

test("links lead to the container", () => {
  const links = { logs: "https://logs.example.com/?c={name}&i={id}" };
  const made = format(batch([died("a)b c")]), { links });
  assert.match(made["text/markdown"], /\[logs\]\(https:\/\/logs\.example\.com\/\?c=a%29b%20c&i=\)/);
});

test("a wrong configuration is refused with what would be right", () => {
  for (const [config, message] of [
    [{ link: {} }, /json, limit, links/],
    [{ json: 1 }, /"text"/],
    [{ limit: 10 }, /at least 500/],
    [{ links: "x" }, /table/],
    [{ links: { logs: "logs" } }, /"https:\/\/logs.example.com/],
    [{ links: { logs: "https://a/{host}" } }, /\{host\}: there are \{name\}/],
  ]) {
    assert.throws(() => new Markdown(config), message);
  }
});
