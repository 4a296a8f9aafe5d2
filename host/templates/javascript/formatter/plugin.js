// my-plugin: one line per event.

import { exportFormatter, fact, message, who } from "./dockbell/index.js";

export class MyPlugin {
  /** The messages for a batch, at least one. */
  format(batch) {
    const lines = batch.events.map((event) => `${event.engine} ${who(event)} ${event.action}`);
    if (batch.total > batch.events.length) lines.push(`${batch.total} events in all: the first and the last are shown`);
    // Gaps, late events, plugins that failed: the reader must know.
    for (const note of batch.notes) lines.push(`note: ${note}`);
    const subject = `${batch.total} events of ${batch.group || batch.route}`;
    const severity = batch.events.some(isTrouble) ? "error" : "info";
    return [message(subject, { "text/plain": `${lines.join("\n")}\n` }, { severity })];
  }
}

function isTrouble(event) {
  return ["crashed", "oom"].includes(fact(event, "cause")) || event.detail === "unhealthy";
}

export const { setup, formatter } = exportFormatter(MyPlugin);
