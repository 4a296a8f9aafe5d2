// markdown: messages for chats and trackers that read Markdown.
//
//     config = { json = "text", links = { logs = "https://logs.example.com/?container={name}" } }

import { attribute, exportFormatter, fact, message, PluginError, who } from "./dockbell/index.js";
import { clean, code, cut, escape, urlPart } from "./markdown.js";
import { words } from "./words.js";

const RANK = ["info", "warning", "error"];
const PARTS = {
  name: who,
  service: (event) => fact(event, "identity") ?? "",
  image: (event) => attribute(event, "image") ?? "",
  engine: (event) => event.engine,
  id: (event) => event.actorId,
};

export class Markdown {
  constructor(config) {
    const { json = "", limit = 16_000, links = {}, ...rest } = config;
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new PluginError(`there is no key \`${unknown}\`: there are json, limit, links`);
    if (typeof json !== "string") throw new PluginError('`json` must be the name of a field, such as "text"');
    if (!Number.isInteger(limit) || limit < 500) throw new PluginError("`limit` must be a number of characters, at least 500");
    this.json = json;
    this.limit = limit;
    if (typeof links !== "object" || Array.isArray(links)) throw new PluginError("`links` must be a table of URLs");
    this.links = Object.entries(links).map(link);
  }

  format(batch) {
    const rows = batch.events.map((event) => ({ event, time: time(event.timeNanos), ...words(event) }));
    const severity = RANK[Math.max(0, ...rows.map((row) => RANK.indexOf(row.severity)))];
    const title = summary(batch, rows);
    const left = batch.total - rows.length;
    // Where `events` holds only the first and the last, what is left out lies between its halves.
    const gap = left > 0 ? Math.ceil(rows.length / 2) : -1;
    const plain = [title, ""], marked = [`**${escape(title)}**`, ""];
    if (batch.counts.length > 1) {
      marked.push("| count | what |", "| ---: | --- |");
      for (const [what, count] of batch.counts) {
        plain.push(`${count} × ${clean(what)}`);
        marked.push(`| ${count} | ${escape(what)} |`);
      }
      plain.push("");
      marked.push("");
    }
    let day = "";
    rows.forEach((row, index) => {
      if (index === gap) {
        plain.push(`... ${left} events are left out here ...`);
        marked.push("", `*${left} events are left out here*`, "");
      }
      if (row.time.day !== day) {
        day = row.time.day;
        plain.push(`${day} UTC`);
        marked.push(`${index > 0 ? "\n" : ""}${escape(day)} UTC`, "");
      }
      plain.push(plainRow(row));
      marked.push(this.markedRow(row));
    });
    for (const note of batch.notes) {
      plain.push(`Note: ${clean(note)}`);
      marked.push("", `> **Note:** ${escape(note)}`);
    }
    const forms = { "text/plain": `${plain.join("\n")}\n`, "text/markdown": `${marked.join("\n")}\n` };
    if (this.json !== "") forms["application/json"] = JSON.stringify({ [this.json]: short(marked, this.limit) });
    return [message(title, forms, { severity })];
  }

  markedRow({ event, time, severity, who, what, image, details }) {
    const happened = severity === "error" ? `**${escape(what)}**` : escape(what);
    const more = [image === undefined ? "" : code(cut(image, 100)), ...details.map(escape)];
    if (event.kind === "container") {
      for (const { label, url } of this.links) more.push(`[${escape(label)}](${url(event)})`);
    }
    return `- ${code(time.clock)} ${escape(cut(who, 60))} ${[happened, ...more].filter(Boolean).join(" · ")}`;
  }
}

function plainRow({ time, who, what, image = "", details }) {
  return [`${time.clock}  ${clean(cut(who, 60))} ${clean(what)}`, clean(cut(image, 100)), ...details].filter(Boolean).join(" · ");
}

/** Whole lines, as many as there is room for. */
function short(lines, limit) {
  let room = limit - 100;
  const fitting = lines.findIndex((line) => (room -= line.length + 1) < 0);
  if (fitting < 0) return lines.join("\n");
  return [...lines.slice(0, fitting), "", `*${lines.length - fitting} more lines do not fit in here*`].join("\n");
}

/** `3 events: web-1 crashed (exit 137) ×2, db-1 start`, the worst first. */
function summary(batch, rows) {
  const begin = batch.phase === "closing" ? "trouble ended" : "";
  if (rows.length === 0) return begin || `${batch.total} events`;
  const times = new Map();
  const worst = [...rows].sort((one, other) => RANK.indexOf(other.severity) - RANK.indexOf(one.severity));
  for (const row of worst) {
    const entry = clean(`${cut(row.who, 60)} ${cut(row.what, 60)}`);
    times.set(entry, (times.get(entry) ?? 0) + 1);
  }
  const entries = [...times].map(([entry, count]) => (count === 1 ? entry : `${entry} ×${count}`));
  const shown = entries.slice(0, 3).join(", ") + (entries.length > 3 || batch.total > rows.length ? ", ..." : "");
  const total = batch.total === 1 ? "" : `${batch.total} events`;
  return [[begin, total].filter(Boolean).join(", "), shown].filter(Boolean).join(": ");
}

function time(nanos) {
  const text = new Date(nanos / 1e6).toISOString();
  return { day: text.slice(0, 10), clock: text.slice(11, 19) };
}

function link([label, template]) {
  const parts = Object.keys(PARTS).map((part) => `{${part}}`).join(", ");
  if (typeof template !== "string" || !/^https?:\/\/[^\s<>()]+$/.test(template)) {
    throw new PluginError(`\`links.${label}\` is no URL; right would be "https://logs.example.com/?container={name}"`);
  }
  for (const [whole, part] of template.matchAll(/\{(.*?)\}/g)) {
    if (!Object.hasOwn(PARTS, part)) throw new PluginError(`\`links.${label}\` has ${whole}: there are ${parts}`);
  }
  const url = (event) => template.replace(/\{(.*?)\}/g, (_, part) => urlPart(PARTS[part](event)));
  return { label, url };
}

export const { setup, formatter } = exportFormatter(Markdown);
