/**
 * Text that cannot steer a terminal: control characters, and those that turn the direction of writing, are written as
 * escapes. Names may hold anything; line breaks of our own lists stay.
 */
export function printable(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, '\ufffd').replaceAll(STEERING, escaped);
}

/** As `printable`, and all on one line, so that a name with a line break in it cannot pass for a line of ours. */
export function printableLine(text: string): string {
  return printable(text).replaceAll('\n', '\\x0a');
}

/** All controls but the line feed, Unicode's line separators, and its bidirectional controls (UAX #9, section 2). */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const STEERING = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function escaped(character: string): string {
  const code = character.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}
