// my-plugin: one line for each event.
//
//     config = { title = "What happened" }

import { exportFormatter, fact, message, PluginError, who } from "./dockbell/index.js";
import type { Batch, Config, Event, Formatter, Notification } from "./dockbell/index.js";

export class MyPlugin implements Formatter {
  private readonly title: string;

  constructor({ title = "" }: Config) {
    if (typeof title !== "string") throw new PluginError("`title` must be a text");
    this.title = title;
  }

  /** The messages for a batch, at least one. */
  format(batch: Batch): Notification[] {
    const lines = batch.events.map(line);
    if (batch.total > batch.events.length) lines.push(`${batch.total} events in all: the first and the last are shown`);
    // Gaps, late events, plugins that failed: the reader must know.
    for (const note of batch.notes) lines.push(`note: ${note}`);
    const title = this.title || (batch.total === 1 ? "1 event" : `${batch.total} events`);
    const severity = batch.events.some(isTrouble) ? "error" : "info";
    return [message(title, { "text/plain": `${lines.join("\n")}\n` }, { severity })];
  }
}

function line(event: Event): string {
  const time = new Date(event.timeNanos / 1e6).toISOString().slice(11, 19);
  return [time, who(event), event.action, event.detail, fact(event, "cause")].filter(Boolean).join(" ");
}

function isTrouble(event: Event): boolean {
  return ["crashed", "oom"].includes(fact(event, "cause") ?? "") || event.detail === "unhealthy";
}

export const { setup, formatter } = exportFormatter(MyPlugin);
