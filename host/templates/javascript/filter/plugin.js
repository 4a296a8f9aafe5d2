// my-plugin: tells only containers that ended with an exit code of their own.
//
//     config = { lowest = 2 }

import { attribute, exportFilter, log, PluginError } from "./dockbell/index.js";

export class MyPlugin {
  constructor({ lowest = 1 }) {
    if (typeof lowest !== "number") throw new PluginError("`lowest` must be an exit code, such as 2");
    // The lowest exit code that is told.
    this.lowest = lowest;
    log.debug("tells exit codes from", lowest);
  }

  /** true lets the event pass. */
  accept(event) {
    const code = attribute(event, "exitCode");
    return event.action === "die" && code !== undefined && Number(code) >= this.lowest;
  }
}

export const { setup, filter, packedFilter } = exportFilter(MyPlugin);
