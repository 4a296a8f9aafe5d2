// What an event says, in words.

import { attribute, fact, who } from "./dockbell/index.js";

const ERROR = "error", WARNING = "warning", INFO = "info";
const OWN = {
  engine_lost: [ERROR, "engine lost"], engine_back: [INFO, "engine back"], gap: [ERROR, "gap in the events"],
  plugin_failed: [ERROR, "plugin failed"], plugin_recovered: [INFO, "plugin works again"],
  sink_failed: [ERROR, "sink failed"], dead_letter: [ERROR, "a message was given up"],
};

/** Who did what, how bad that is, and what else is known. Values come from outside and are not yet safe to show. */
export function words(event) {
  const [severity, what] = happened(event);
  const own = event.kind === "dockbell";
  const name = own ? event.engine || "dockbell" : who(event) || "(no name)";
  const subject = own || event.kind === "container" ? name : `${event.kind} ${name}`;
  return { severity, who: subject, what, image: attribute(event, "image"), details: details(event) };
}

function happened(event) {
  if (event.kind === "dockbell") return OWN[event.action] ?? [INFO, event.action];
  const recovered = fact(event, "recovered-after");
  const after = recovered === undefined ? "" : ` (recovered after ${recovered})`;
  switch (event.action) {
    case "die":
      return died(event);
    case "oom":
      return [WARNING, "hit its memory limit"];
    case "health_status":
      return event.detail === "unhealthy" ? [ERROR, "is unhealthy"] : [INFO, `is ${event.detail}${after}`];
    default:
      // What follows the action of an exec is a command line, which can hold secrets.
      return [INFO, event.action.startsWith("exec") ? event.action : `${event.action}${after}`];
  }
}

function died(event) {
  const keeps = fact(event, "looping") === "true";
  const code = fact(event, "exit-code");
  const exit = code === undefined ? "" : ` (exit ${code})`;
  switch (fact(event, "cause")) {
    case "crashed":
      return [ERROR, `${keeps ? "keeps crashing" : "crashed"}${exit}`];
    case "oom":
      return [ERROR, keeps ? "keeps running out of memory" : "ran out of memory"];
    case "killed":
      return [WARNING, `was killed${exit}`];
    case "stopped":
      return [INFO, "was stopped"];
    case "finished":
      return [INFO, keeps ? "keeps finishing" : "finished"];
    default:
      return [code === undefined || code === "0" ? INFO : ERROR, `died${exit}`];
  }
}

function details(event) {
  const details = [];
  const upFor = fact(event, "up-for"), restarts = fact(event, "restarts");
  if (upFor !== undefined) details.push(`ran for ${upFor}`);
  if (restarts !== undefined) details.push(`restarts in 10 minutes: ${restarts}`);
  if (fact(event, "late") === "true") details.push("told late");
  if (fact(event, "inferred") === "true") details.push("found by comparing");
  return details;
}
