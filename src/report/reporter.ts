import type { Progress } from '../core/ports.ts';
import { PoolkeeperError } from '../errors.ts';
import { LiveArea } from './live-area.ts';
import { printable } from './printable.ts';
import { type Style, type Surface, surfaceOf, type TextSink } from './surface.ts';

export interface ReporterOptions {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** One JSON object per line on stdout instead of text, errors included. */
  readonly json: boolean;
  /** Only what changed, and what went wrong. */
  readonly quiet: boolean;
  /** Also what was looked at and left alone. */
  readonly verbose: boolean;
  /** Tells whether colours are wanted. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether standard error is read by the journal, which takes priorities from the beginning of lines. */
  readonly isJournal: boolean;
  /** Called with every failure that is reported. */
  onError?(this: void, error: unknown): void;
}

/** Facts of an event, as they appear in JSON. Big integers become numbers where that is exact, strings otherwise. */
export type Fields = Readonly<Record<string, unknown>>;

/** How much an event matters: `detail` is for `-v`, `info` not for `-q`, `change` is always shown. */
export type Weight = 'detail' | 'info' | 'change';

/** The only way to the user: data and events on stdout, talk on stderr. */
export interface Reporter {
  /** The answer to a query, as a line of its own. */
  data(text: string, messageType: string, fields: Fields): void;
  /** An answer in rows: in JSON an object each, otherwise what `text` makes of them, as it is. For `showTable`. */
  rows(messageType: string, rows: readonly Fields[], text: (surface: Surface) => string): void;
  /** Something that was decided or done. */
  event(weight: Weight, text: string, messageType: string, fields: Fields): void;
  warning(message: string, hint?: string): void;
  /** A failure. A known one is a line and a hint; a bug keeps its stack. */
  error(error: unknown): void;
  /** Shows long work, on a terminal only. */
  readonly progress: Progress;
}

/** A reporter for one run. */
export function createReporter(options: ReporterOptions): Reporter {
  const { json, quiet, verbose } = options;
  const { stdout, stderr, progress } = outputsOf(options);
  const talk = talkOn({ ...options, stderr });
  const writeJson = (messageType: string, fields: Fields): void => {
    stdout.write(`${JSON.stringify({ message_type: messageType, ...fields }, replaceBigInt)}\n`);
  };
  const data = (text: string, messageType: string, fields: Fields): void => {
    if (json) writeJson(messageType, fields);
    else stdout.write(`${printable(text)}\n`);
  };
  return {
    data,
    rows: (messageType, rows, text) => {
      if (json) for (const fields of rows) writeJson(messageType, fields);
      else stdout.write(text(surfaceOf(stdout, options.env)));
    },
    event: (weight, text, messageType, fields) => {
      if ((weight === 'detail' && !verbose) || (weight === 'info' && quiet)) return;
      data(text, messageType, fields);
    },
    warning: (message, hint) => {
      if (json) writeJson('warning', { message, hint });
      else talk('warning', message, hint);
    },
    error: (error) => {
      options.onError?.(error);
      if (json) writeJson('error', describeError(error));
      else if (error instanceof PoolkeeperError) talk('error', withCauses(error), error.hint);
      else talk('error', `this is a bug in poolkeeper, please report it\n${stackOf(error)}`);
    },
    progress,
  };
}

/** Where to write so that lines about long work stay the last ones; those are for people who look on. */
function outputsOf({ stdout, stderr, json, quiet, env }: ReporterOptions) {
  if (json || quiet || stderr.isTTY !== true || env['TERM'] === 'dumb')
    return { stdout, stderr, progress: NO_PROGRESS };
  const area = new LiveArea(stderr);
  return { stdout: stdout.isTTY === true ? above(stdout, area) : stdout, stderr: above(stderr, area), progress: area };
}

function above(sink: TextSink, area: LiveArea): TextSink {
  const write = (text: string): void => area.printAbove(() => sink.write(text));
  return { write, isTTY: true, ...(sink.columns !== undefined && { columns: sink.columns }) };
}

const NO_PROGRESS: Progress = { start: () => ({ reach: () => undefined, end: () => undefined }) };

/** How each kind of talk looks, and its priority in the journal (sd-daemon(3)): a hint has that of what it is about. */
const KINDS = {
  error: { style: 'red', priority: '<3>' },
  warning: { style: 'yellow', priority: '<4>' },
} as const satisfies Record<string, { readonly style: Style; readonly priority: string }>;

/** Talks to people on standard error. */
function talkOn({ stderr, env, isJournal }: ReporterOptions) {
  const { paint } = surfaceOf(stderr, env);
  return (kind: keyof typeof KINDS, text: string, hint?: string): void => {
    const { style, priority } = KINDS[kind];
    const lines = `poolkeeper: ${paint(style, `${kind}:`)} ${printable(text)}\n`;
    const advice = hint === undefined ? '' : `poolkeeper: ${paint('cyan', 'hint:')} ${printable(hint)}\n`;
    stderr.write(isJournal ? (lines + advice).replaceAll(/^(?=[^])/gm, priority) : lines + advice);
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
