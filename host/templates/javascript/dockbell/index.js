// Filters and formatters for dockbell in JavaScript and TypeScript.
//
// Each `dockbell plugin build` writes this folder anew: change nothing here. `index.d.ts` describes what is here, `wit/v0.1`
// what each field means.

import { enter, failure, PluginError } from "./sandbox.js";

export { PluginError };
export { log } from "./sandbox.js";

export function exportFilter(Plugin) {
  const { setup, running } = start(Plugin);
  const accept = (event) => {
    try {
      const answer = running.plugin.accept(event);
      if (typeof answer === "boolean") return answer;
      throw new PluginError(`\`accept\` must return true or false, and returned ${shown(answer)}`);
    } catch (error) {
      throw failure(error);
    }
  };
  return { setup, filter: { accept }, packedFilter: { accept: (event) => accept(unpacked(event)) } };
}

export function exportFormatter(Plugin) {
  const { setup, running } = start(Plugin);
  const format = (batch) => {
    try {
      const made = running.plugin.format(batch);
      if (Array.isArray(made)) return made.map(checked);
      throw new PluginError(`\`format\` must return a list of messages, and returned ${shown(made)}`);
    } catch (error) {
      throw failure(error);
    }
  };
  return { setup, formatter: { format } };
}

// Events whose texts came in one, of which most filters look at two or three: lists of all attributes and facts are only made
// for who asks for them.
const packedOf = new WeakMap();

function unpacked(packed) {
  const { text, timeNanos } = packed;
  const ends = (packed.ends = units(text, packed.ends));
  let attributes, facts;
  const event = {
    engine: text.slice(0, ends[0]),
    kind: text.slice(ends[0], ends[1]),
    action: text.slice(ends[1], ends[2]),
    detail: text.slice(ends[2], ends[3]),
    actorId: text.slice(ends[3], ends[4]),
    scope: text.slice(ends[4], ends[5]),
    timeNanos,
    get attributes() {
      return (attributes ??= pairs(packed, 6, 6 + 2 * packed.attributes));
    },
    get facts() {
      return (facts ??= pairs(packed, 6 + 2 * packed.attributes, ends.length));
    },
  };
  packedOf.set(event, packed);
  return event;
}

function pairs({ text, ends }, from, to) {
  const made = [];
  for (let at = from; at < to; at += 2) {
    made.push([text.slice(ends[at - 1], ends[at]), text.slice(ends[at], ends[at + 1])]);
  }
  return made;
}

// Where the texts end in JavaScript's units of UTF-16, out of where they end in bytes of UTF-8.
function units(text, packed) {
  const ends = new Uint32Array(packed.buffer, packed.byteOffset, packed.length / 4);
  if (ends[ends.length - 1] === text.length) return ends;
  let bytes = 0;
  let at = 0;
  return ends.map((end) => {
    while (bytes < end) {
      const point = text.codePointAt(at);
      bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      at += point < 0x10000 ? 1 : 2;
    }
    return at;
  });
}

function start(Plugin) {
  const running = { plugin: undefined };
  const configure = (config) => {
    try {
      enter();
      running.plugin = new Plugin(JSON.parse(config));
    } catch (error) {
      throw failure(error);
    }
  };
  return { setup: { configure }, running };
}

export function attribute(event, name) {
  const packed = packedOf.get(event);
  return packed === undefined ? value(event.attributes, name) : find(packed, 6, 6 + 2 * packed.attributes, name);
}

export function fact(event, name) {
  const packed = packedOf.get(event);
  return packed === undefined
    ? value(event.facts, name)
    : find(packed, 6 + 2 * packed.attributes, packed.ends.length, name);
}

function value(pairs, name) {
  for (const pair of pairs) if (pair[0] === name) return pair[1];
  return undefined;
}

function find({ text, ends }, from, to, name) {
  for (let at = from; at < to; at += 2) {
    const start = ends[at - 1];
    if (ends[at] - start === name.length && text.startsWith(name, start)) return text.slice(ends[at], ends[at + 1]);
  }
  return undefined;
}

export function who(event) {
  return attribute(event, "name") || fact(event, "identity") || event.actorId.slice(0, 12);
}

export function message(subject, forms, fields = {}) {
  const alternatives = Object.entries(forms).map(([mediaType, content]) => ({ mediaType, content }));
  return { subject, alternatives, fields: Object.entries(fields) };
}

export function event(fields = {}) {
  const { attributes = {}, facts = {}, ...rest } = fields;
  return {
    engine: "", kind: "container", action: "", detail: "", actorId: "", scope: "local", timeNanos: 0, ...rest,
    attributes: Object.entries(attributes), facts: Object.entries(facts),
  };
}

export function batch(events, fields = {}) {
  const times = events.map((event) => event.timeNanos);
  const counts = new Map();
  for (const { kind, action } of events) counts.set(`${kind} ${action}`, (counts.get(`${kind} ${action}`) ?? 0) + 1);
  return {
    route: "default", group: "", phase: "first", sinceNanos: Math.min(...times), untilNanos: Math.max(...times),
    total: events.length, counts: [...counts].sort((one, other) => other[1] - one[1]), events, notes: [], ...fields,
  };
}

// With texts only: anything else would end the plugin while dockbell is given it.
function checked(made) {
  const { subject, alternatives, fields } = made;
  return {
    subject: text(subject),
    alternatives: alternatives.map((form) => ({ mediaType: text(form.mediaType), content: text(form.content) })),
    fields: fields.map(([name, value]) => [text(name), text(value)]),
  };
}

function text(value) {
  // Half a character cannot be written in UTF-8.
  if (typeof value === "string") return value.toWellFormed();
  throw new PluginError(`a message holds texts only, and not ${shown(value)}`);
}

function shown(value) {
  if (value instanceof Promise) return "a promise: a call cannot wait for anything";
  return String(typeof value === "string" ? JSON.stringify(value) : value).slice(0, 80);
}
