// slack-blocks: messages in Slack's Block Kit.
//
//     config = { mention = "here" }

import { exportFormatter, message, PluginError } from "./dockbell/index.js";
import type { Batch, Config, Event, Formatter, Notification } from "./dockbell/index.js";
import { clean, code, context, cut, escape, header, MAX_BLOCKS, MAX_FALLBACK, section, sections } from "./blocks.js";
import type { Block } from "./blocks.js";
import { SEVERITIES, words } from "./words.js";
import type { Severity, Words } from "./words.js";

const SIGNS: Record<Severity, string> = { info: ":white_circle:", warning: ":large_orange_circle:", error: ":red_circle:" };
/** Blocks for notes at most; what is left is for events. */
const MAX_NOTES = 10;
/** Counts that are shown. An escaped character may be five, and all must fit into one text. */
const MAX_COUNTS = 8;

interface Row extends Words {
  time: { day: string; clock: string };
}

export class SlackBlocks implements Formatter {
  private readonly mention: string;

  constructor(config: Config) {
    const { mention = "", ...rest } = config;
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new PluginError(`there is no key \`${unknown}\`: there is \`mention\``);
    this.mention = mentioned(mention);
  }

  format(batch: Batch): Notification[] {
    const rows = batch.events.map(row);
    const severity = SEVERITIES[Math.max(0, ...rows.map((row) => SEVERITIES.indexOf(row.severity)))] ?? "info";
    const title = summary(batch, rows);
    const blocks = this.blocks(batch, rows, title, severity);
    const json = JSON.stringify({ text: escape(title, MAX_FALLBACK), blocks });
    return [message(title, { "text/plain": plain(batch, rows, title), "application/json": json }, { severity })];
  }

  private blocks(batch: Batch, rows: Row[], title: string, severity: Severity): Block[] {
    const first = [header(title)];
    if (severity === "error" && this.mention !== "") first.push(section(this.mention));
    if (batch.counts.length > 1) {
      const counts = batch.counts.slice(0, MAX_COUNTS).map(([what, count]) => `${count} × ${escape(what, 60)}`);
      first.push(context(counts.join(" · ") + (batch.counts.length > MAX_COUNTS ? " · ..." : "")));
    }
    const all = sections(batch.notes.map((note) => `:warning: ${escape(note, 500)}`));
    const notes = all.slice(0, MAX_NOTES);
    if (all.length > MAX_NOTES) notes.push(context("More notes do not fit in here."));
    const span = [...new Set(rows.map((row) => row.time.day))].join(" to ");
    const last = [context([`Route ${code(batch.route, 60)}`, span && `${span} UTC`].filter(Boolean).join(", "))];
    const room = MAX_BLOCKS - first.length - notes.length - last.length - 1;
    const events = sections(lines(batch, rows));
    if (events.length > room) events.splice(room, events.length, context("More events do not fit in here."));
    return [...first, ...events, ...notes, ...last];
  }
}

/** A line for each event, and one where events are left out: `events` of a large batch holds the first and the last. */
function lines(batch: Batch, rows: Row[]): string[] {
  const lines = rows.map((row) => {
    const what = escape(row.what, 60);
    const [time, who] = [code(row.time.clock, 8), code(row.who, 60)];
    const happened = row.severity === "error" ? `*${what}*` : what;
    const details = row.details.map((detail) => escape(detail, 100));
    return [`${SIGNS[row.severity]} ${time} ${who} ${happened}`, ...details].join(" · ");
  });
  const left = batch.total - rows.length;
  if (left > 0) lines.splice(Math.ceil(rows.length / 2), 0, `_${left} events are left out here_`);
  return lines;
}

function plain(batch: Batch, rows: Row[], title: string): string {
  const lines = rows.map((row) => {
    const [who, what, ...details] = [row.who, row.what, ...row.details].map((text) => clean(cut(text, 100)));
    return [`${row.time.day} ${row.time.clock}  ${who} ${what}`, ...details].join(" · ");
  });
  const left = batch.total - rows.length;
  if (left > 0) lines.splice(Math.ceil(rows.length / 2), 0, `... ${left} events are left out here ...`);
  return [title, "", ...lines, ...batch.notes.map((note) => `Note: ${clean(note)}`), ""].join("\n");
}

/** `3 events: web-1 crashed (exit 137) ×2, db-1 start`, the worst first. */
function summary(batch: Batch, rows: Row[]): string {
  const closing = batch.phase === "closing" ? "trouble ended" : "";
  if (rows.length === 0) return closing || `${batch.total} events`;
  const times = new Map<string, number>();
  const rank = (row: Row) => SEVERITIES.indexOf(row.severity);
  for (const row of [...rows].sort((one, other) => rank(other) - rank(one))) {
    const entry = clean(`${cut(row.who, 40)} ${cut(row.what, 60)}`);
    times.set(entry, (times.get(entry) ?? 0) + 1);
  }
  const entries = [...times].map(([entry, count]) => (count === 1 ? entry : `${entry} ×${count}`));
  const shown = entries.slice(0, 3).join(", ") + (entries.length > 3 || batch.total > rows.length ? ", ..." : "");
  const begin = [closing, batch.total === 1 ? "" : `${batch.total} events`].filter(Boolean).join(", ");
  return [begin, shown].filter(Boolean).join(": ");
}

function row(event: Event): Row {
  const time = new Date(event.timeNanos / 1e6).toISOString();
  return { time: { day: time.slice(0, 10), clock: time.slice(11, 19) }, ...words(event) };
}

/** How Slack mentions somebody. */
function mentioned(who: unknown): string {
  if (who === "") return "";
  if (who === "here" || who === "channel") return `<!${who}>`;
  if (typeof who === "string" && /^[UW][A-Z0-9]{6,}$/.test(who)) return `<@${who}>`;
  if (typeof who === "string" && /^S[A-Z0-9]{6,}$/.test(who)) return `<!subteam^${who}>`;
  throw new PluginError('`mention` must be "here", "channel", or the id of a member (U...) or of a group (S...)');
}

export const { setup, formatter } = exportFormatter(SlackBlocks);
