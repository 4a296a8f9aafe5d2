// Text from outside as Markdown (CommonMark, and what GitHub adds to it), so that it says nothing but itself.

/** One line without control characters and without marks that turn the direction of text. */
export function clean(text) {
  return text.replace(/\s+/g, " ").replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "");
}

/** At most so many characters. */
export function cut(text, limit) {
  const chars = [...text];
  return chars.length <= limit ? text : `${chars.slice(0, limit - 1).join("")}…`;
}

/** A backslash takes the meaning of any punctuation: no emphasis, link, address, mention or HTML comes of it. */
export function escape(text) {
  return clean(text).replace(/[!-/:-@[-`{-~]/g, "\\$&");
}

/** As code, between more backticks than are in it. */
export function code(text) {
  const line = clean(text);
  const longest = Math.max(0, ...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  const space = longest > 0 || line.trim() !== line ? " " : "";
  return line === "" ? "" : `${fence}${space}${line}${space}${fence}`;
}

/** A part of a URL; more is encoded than a URL wants, since Markdown has a meaning for it. */
export function urlPart(text) {
  return encodeURIComponent(text.toWellFormed()).replace(/[!'()*_~]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}
