// What a plugin finds around it inside dockbell: a log, and no machine. In Node, for tests, `console` is the log.

let host;
try {
  host = await import("dockbell:plugin/logging@0.1.0");
  host = host.default ?? host;
} catch {
  // This is Node: there is no such module.
}

// An error whose text says everything.
export class PluginError extends Error {
  name = "PluginError";
}

export const log = {};
for (const level of ["trace", "debug", "info", "warn", "error"]) {
  log[level] = (...values) => {
    if (host === undefined) return console[level](...values);
    for (const line of values.map(shown).join(" ").split("\n")) host.log(level, line);
  };
}

function shown(value) {
  if (value instanceof Error) return `${value}\n${value.stack}`.trimEnd();
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return String(value);
  }
}

// What a call is ended with: a text.
export function failure(error) {
  const text = error instanceof PluginError ? error.message : `${error}${place(error)}`;
  return host === undefined ? new PluginError(text) : text.toWellFormed();
}

// The author's own line that led to it.
function place(error) {
  const lines = String(error?.stack ?? "").split("\n").map((line) => line.trim());
  const line = lines.find((line) => line.startsWith("at ") && !line.includes("/dockbell/") && !line.includes("(native)"));
  return line === undefined ? "" : ` (${line.replace(/^at /, "").replace(/ \(\/?/, ", ").replace(/\)$/, "")})`;
}

// Called before the plugin is made. What the machine would answer must not be asked: that would end the plugin.
export function enter() {
  if (host === undefined) return;
  globalThis.console = { ...log, log: log.info };
  const refuse = () => {
    throw new PluginError("a plugin has no clock: `timeNanos` of the event is the time");
  };
  const Time = Date;
  globalThis.Date = class Date extends Time {
    constructor(...given) {
      if (given.length === 0) refuse();
      super(...given);
    }
    static now = refuse;
  };
  globalThis.performance = { now: refuse };
}
