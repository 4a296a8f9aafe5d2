// my-plugin: lets pass what happens to the containers that are named in its configuration.
//
//     config = { names = ["shop-web-1", "shop-db-1"] }

import { exportFilter, log, PluginError, who } from "./dockbell/index.js";

export class MyPlugin {
  constructor(config) {
    const { names = [] } = config;
    if (!Array.isArray(names)) throw new PluginError('`names` must be a list, such as ["shop-web-1"]');
    this.names = new Set(names);
    log.debug("looks for", names);
  }

  /** true lets the event pass. */
  accept(event) {
    return this.names.size === 0 || this.names.has(who(event));
  }
}

export const { setup, filter } = exportFilter(MyPlugin);
