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
  return { setup, filter: { accept } };
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
  return value(event.attributes, name);
}

export function fact(event, name) {
  return value(event.facts, name);
}

function value(pairs, name) {
  for (const pair of pairs) if (pair[0] === name) return pair[1];
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
