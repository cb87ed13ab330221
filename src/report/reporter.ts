import { PoolkeeperError } from '../errors.ts';

/** Where text goes. */
export interface TextSink {
  write(text: string): unknown;
}

export interface ReporterOptions {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** One JSON object per line on stdout instead of text, errors included. */
  readonly json: boolean;
  /** Only what changed, and what went wrong. */
  readonly quiet: boolean;
  /** Also what was looked at and left alone. */
  readonly verbose: boolean;
}

/** Facts of an event, as they appear in JSON. Big integers become numbers where that is exact, strings otherwise. */
export type Fields = Readonly<Record<string, unknown>>;

/** How much an event matters: `detail` is for `-v`, `info` not for `-q`, `change` is always shown. */
export type Weight = 'detail' | 'info' | 'change';

/** The only way to the user: data and events on stdout, talk on stderr. */
export interface Reporter {
  /** The answer to a query, as a line of its own. */
  data(text: string, messageType: string, fields: Fields): void;
  /** Something that was decided or done. */
  event(weight: Weight, text: string, messageType: string, fields: Fields): void;
  warning(message: string, hint?: string): void;
  /** A failure. A known one is a line and a hint; a bug keeps its stack. */
  error(error: unknown): void;
}

/** A reporter for one run. */
export function createReporter(options: ReporterOptions): Reporter {
  const { stdout, stderr, json, quiet, verbose } = options;
  const writeJson = (messageType: string, fields: Fields): void => {
    stdout.write(`${JSON.stringify({ message_type: messageType, ...fields }, replaceBigInt)}\n`);
  };
  const talk = (kind: string, text: string, hint: string | undefined): void => {
    stderr.write(`poolkeeper: ${kind}: ${printable(text)}\n`);
    if (hint !== undefined) stderr.write(`poolkeeper: hint: ${printable(hint)}\n`);
  };
  return {
    data: (text, messageType, fields) => {
      if (json) writeJson(messageType, fields);
      else stdout.write(`${printable(text)}\n`);
    },
    event: (weight, text, messageType, fields) => {
      if ((weight === 'detail' && !verbose) || (weight === 'info' && quiet)) return;
      if (json) writeJson(messageType, fields);
      else stdout.write(`${printable(text)}\n`);
    },
    warning: (message, hint) => {
      if (json) writeJson('warning', { message, hint });
      else talk('warning', message, hint);
    },
    error: (error) => {
      if (json) writeJson('error', describeError(error));
      else if (error instanceof PoolkeeperError) talk('error', withCauses(error), error.hint);
      else stderr.write(`poolkeeper: error: this is a bug in poolkeeper, please report it\n${stackOf(error)}\n`);
    },
  };
}

/** An error as data. */
function describeError(error: unknown): Fields {
  if (!(error instanceof PoolkeeperError)) return { message: String(error), code: 'POOLKEEPER_BUG', exit_status: 1 };
  return { message: withCauses(error), hint: error.hint, code: error.code, exit_status: error.exitStatus };
}

/** The message, followed by those of known causes that say something new. */
function withCauses(error: Error): string {
  const { cause, message } = error;
  if (!(cause instanceof PoolkeeperError) || message.includes(cause.message)) return message;
  return `${message}: ${withCauses(cause)}`;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function replaceBigInt(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
}

/** Names may hold anything; a terminal must not be steered by them. Line breaks of our own lists stay. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
