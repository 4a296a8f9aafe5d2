// What dockbell gives a plugin and takes from it. `wit/v0.1` is the interface that this describes.

/** One event of a container engine. */
export interface Event {
  /** The engine's name in dockbell's configuration. */
  engine: string;
  /** `container`, `image`, `network`, `volume`, ... and `dockbell` for its own state. */
  kind: string;
  /** What happened, in Docker's words: `die`, `start`, `health_status`, ... */
  action: string;
  /** What the engine wrote behind the action: a health state, an exec command; else empty. */
  detail: string;
  /** The engine's id of the container, image, network, ... */
  actorId: string;
  /** `local` or `swarm`. */
  scope: string;
  /** Nanoseconds since the Unix epoch; as a number it is exact to some 256 ns. */
  timeNanos: number;
  /** As the engine sent them. Labels are among them: trust only `name` and `image`. */
  attributes: [name: string, value: string][];
  /** What dockbell found out itself: `identity`, `cause`, `exit-code`, `restarts`, ... */
  facts: [name: string, value: string][];
}

/** What one message is made of. */
export interface Batch {
  /** The route's name in the configuration. */
  route: string;
  /** What the events have in common; empty when the route has one group. */
  group: string;
  /** `first`, `digest` or `closing`. */
  phase: string;
  /** Time of the earliest event. */
  sinceNanos: number;
  /** Time of the latest event. */
  untilNanos: number;
  /** How many events there were: exact, also where `events` holds only the first and the last. */
  total: number;
  /** How many of each `"kind action"`, exact, the most frequent first. */
  counts: [what: string, count: number][];
  /** The events in the order they arrived; of a large batch the first 50 and the last 50. */
  events: Event[];
  /** What the reader must know beside the events: gaps, late events, failed plugins. */
  notes: string[];
}

/** One way to write a message's content. */
export interface Alternative {
  /** `text/plain` (always wanted), `text/html`, `text/markdown`, `application/json`, ... */
  mediaType: string;
  content: string;
}

/** A message to deliver. */
export interface Notification {
  /** One line. */
  subject: string;
  alternatives: Alternative[];
  /** Names and values for sinks, such as `severity`: `info`, `warning`, `error`. */
  fields: [name: string, value: string][];
}

/** The plugin's table of the configuration. Nobody has checked it: say by a {@link PluginError} what is wrong. */
export type Config = Record<string, unknown>;

/** An event whose texts come in one, see `wit/v0.1/packed-filter.wit`; {@link exportFilter} makes an {@link Event} of it. */
export interface PackedEvent {
  text: string;
  ends: Uint8Array;
  attributes: number;
  timeNanos: number;
}

/** Decides which events a route tells. */
export interface Filter {
  /** `true` lets the event pass. */
  accept(event: Event): boolean;
}

/** Turns events into messages. */
export interface Formatter {
  /** The messages for a batch, at least one, each with a `text/plain` form. */
  format(batch: Batch): Notification[];
}

/**
 * What dockbell calls: `export const { setup, filter, packedFilter } = exportFilter(MyPlugin);`
 *
 * A thrown error is told as the call's error, and the plugin goes on: of a {@link PluginError} its text, of any other its
 * type and place too.
 */
export function exportFilter(plugin: new (config: Config) => Filter): {
  setup: { configure(config: string): void };
  filter: Filter;
  packedFilter: { accept(event: PackedEvent): boolean };
};

/** The same for a formatter: `export const { setup, formatter } = exportFormatter(MyPlugin);` */
export function exportFormatter(plugin: new (config: Config) => Formatter): {
  setup: { configure(config: string): void };
  formatter: Formatter;
};

/** An error whose text says everything, such as which key of the configuration is wrong and what would be right. */
export class PluginError extends Error {}

/** What the engine says. Whoever builds an image can forge each but `name` and `image`. */
export function attribute(event: Event, name: string): string | undefined;
/** What dockbell found out itself, such as `cause`; no label can forge it. */
export function fact(event: Event, name: string): string | undefined;
/** Who the event is about, for people. */
export function who(event: Event): string;

/** A message: `message("db-1 is down", { "text/plain": text }, { severity: "error" })`. */
export function message(subject: string, forms: Record<string, string>, fields?: Record<string, string>): Notification;

/** Lines in dockbell's log, under the plugin's name; `console` writes there too. `DOCKBELL_LOG=debug` shows more. */
export const log: Record<"trace" | "debug" | "info" | "warn" | "error", (...values: unknown[]) => void>;

type Given<T> = Partial<Omit<T, "attributes" | "facts">>;
/** An event for tests: `event({ action: "die", attributes: { name: "web-1" }, facts: { cause: "crashed" } })`. */
export function event(
  fields?: Given<Event> & { attributes?: Record<string, string>; facts?: Record<string, string> },
): Event;
/** A batch for tests. */
export function batch(events: Event[], fields?: Partial<Batch>): Batch;
