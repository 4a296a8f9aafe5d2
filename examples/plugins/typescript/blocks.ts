// Slack's Block Kit: the blocks that are used here, and Slack's limits for them.

/** Blocks of one message. */
export const MAX_BLOCKS = 50;
/** Characters of a section's text. */
export const MAX_TEXT = 3000;
/** Characters of a header's text. */
export const MAX_HEADER = 150;
/** Characters of the summary in the text that notifications show; it may be five times as long when it is escaped. */
export const MAX_FALLBACK = 500;

interface Plain {
  type: "plain_text";
  text: string;
  emoji: boolean;
}

interface Marked {
  type: "mrkdwn";
  text: string;
  /** Addresses and names in the text do not become links by themselves. */
  verbatim: true;
}

export type Block =
  | { type: "header"; text: Plain }
  | { type: "section"; text: Marked }
  | { type: "context"; elements: Marked[] };

const marked = (text: string): Marked => ({ type: "mrkdwn", text, verbatim: true });

export function header(text: string): Block {
  return { type: "header", text: { type: "plain_text", text: cut(clean(text), MAX_HEADER), emoji: false } };
}

export function section(text: string): Block {
  return { type: "section", text: marked(text) };
}

export function context(text: string): Block {
  return { type: "context", elements: [marked(text)] };
}

/** Lines as sections, as many lines in each as it can hold. A line is never broken: each must be short enough. */
export function sections(lines: string[]): Block[] {
  const texts: string[] = [];
  for (const line of lines) {
    const last = texts.at(-1);
    if (last !== undefined && last.length + 1 + line.length <= MAX_TEXT) texts[texts.length - 1] = `${last}\n${line}`;
    else texts.push(line);
  }
  return texts.map(section);
}

/** One line without control characters and without marks that turn the direction of text. */
export function clean(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\p{Cc}\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "");
}

/** At most so many characters, as Slack counts them; none is cut in half. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** Text in a marked text: no link, mention, emphasis or emoji comes of it. At most `limit` characters of it are shown. */
export function escape(text: string, limit: number): string {
  // Slack has no escape but for three characters; the others lose their meaning beside a space of no width.
  return entities(cut(clean(text), limit)).replace(/[*_~`:]/g, "\u200b$&");
}

/** The same as code. */
export function code(text: string, limit: number): string {
  const shown = entities(cut(clean(text), limit)).replace(/`/g, "ˋ").trim();
  return shown === "" ? "" : `\`${shown}\``;
}

function entities(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
