// What an event says, in words.

import { attribute, fact, who } from "./dockbell/index.js";
import type { Event } from "./dockbell/index.js";

export type Severity = "info" | "warning" | "error";
export const SEVERITIES: Severity[] = ["info", "warning", "error"];

/** Who did what. Values come from outside and are not yet safe to show. */
export interface Words {
  severity: Severity;
  who: string;
  what: string;
  details: string[];
}

const OWN: Record<string, [Severity, string]> = {
  engine_lost: ["error", "engine lost"],
  engine_back: ["info", "engine back"],
  gap: ["error", "gap in the events"],
  plugin_failed: ["error", "plugin failed"],
  plugin_recovered: ["info", "plugin works again"],
  sink_failed: ["error", "sink failed"],
  dead_letter: ["error", "a message was given up"],
};

export function words(event: Event): Words {
  const own = event.kind === "dockbell";
  const name = own ? event.engine || "dockbell" : who(event) || "(no name)";
  const [severity, what] = own ? (OWN[event.action] ?? ["info", event.action]) : happened(event);
  const subject = own || event.kind === "container" ? name : `${event.kind} ${name}`;
  return { severity, who: subject, what, details: details(event) };
}

function happened(event: Event): [Severity, string] {
  const recovered = fact(event, "recovered-after");
  const after = recovered === undefined ? "" : ` (recovered after ${recovered})`;
  switch (event.action) {
    case "die":
      return died(event);
    case "oom":
      return ["warning", "hit its memory limit"];
    case "health_status":
      return event.detail === "unhealthy" ? ["error", "is unhealthy"] : ["info", `is ${event.detail}${after}`];
    default:
      // What follows the action of an exec is a command line, which can hold secrets.
      return ["info", event.action.startsWith("exec") ? event.action : `${event.action}${after}`];
  }
}

function died(event: Event): [Severity, string] {
  const keeps = fact(event, "looping") === "true";
  const code = fact(event, "exit-code");
  const exit = code === undefined ? "" : ` (exit ${code})`;
  switch (fact(event, "cause")) {
    case "crashed":
      return ["error", `${keeps ? "keeps crashing" : "crashed"}${exit}`];
    case "oom":
      return ["error", keeps ? "keeps running out of memory" : "ran out of memory"];
    case "killed":
      return ["warning", `was killed${exit}`];
    case "stopped":
      return ["info", "was stopped"];
    case "finished":
      return ["info", keeps ? "keeps finishing" : "finished"];
    default:
      return [code === undefined || code === "0" ? "info" : "error", `died${exit}`];
  }
}

function details(event: Event): string[] {
  const upFor = fact(event, "up-for");
  const restarts = fact(event, "restarts");
  return [
    attribute(event, "image") ?? "",
    upFor === undefined ? "" : `ran for ${upFor}`,
    restarts === undefined ? "" : `restarts in 10 minutes: ${restarts}`,
    fact(event, "late") === "true" ? "told late" : "",
    fact(event, "inferred") === "true" ? "found by comparing" : "",
  ].filter((detail) => detail !== "");
}
