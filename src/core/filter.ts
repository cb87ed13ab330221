import { UsageError } from '../errors.ts';

/** An item with the tags of its version, product and document: every value is a string, as in uvtool's metadata files. */
export type FlatItem = Readonly<Record<string, string>>;

/** One condition on a flattened item. */
export interface Filter {
  /** As the user wrote it. */
  readonly text: string;
  readonly key: string;
  /** What it is compared with. */
  readonly value: string;
  /** Whether it leaves out what it describes. */
  readonly isNegated: boolean;
  matches(item: FlatItem): boolean;
}

/** A regular expression that was accepted. */
export interface Expression {
  test(found: string): boolean;
}

/**
 * Makes a regular expression ready for use. JavaScript's engine backtracks, so one such as `(a|aa)+$` may run for ever on
 * a value that a source has made up: whoever applies filters to what came from outside gives a compiler with a time limit.
 *
 * @throws SyntaxError when the pattern is none.
 */
export type CompileExpression = (pattern: string, flags: string) => Expression;

type Operator = '=' | '!=' | '~' | '!~';

const GRAMMAR = /^([\p{L}\p{N}_|-]+)\s*(!=|!~|=|~)\s*(.*)$/su;

/**
 * Parses one filter: `KEY=VALUE`, `KEY!=VALUE`, `KEY~REGEX`, `KEY!~REGEX`, as simplestreams' `filters.py` does. Blanks
 * around the operator do not count, a blank at the end does. An absent key has the empty string as its value.
 *
 * @param compile without a time limit unless told otherwise.
 * @throws UsageError when the text is not a filter or its regular expression cannot be used.
 */
export function parseFilter(text: string, compile: CompileExpression = unlimited): Filter {
  const match = GRAMMAR.exec(text);
  if (match === null) {
    throw new UsageError(`'${text}' is not a filter`, { hint: 'write KEY=VALUE, KEY!=VALUE, KEY~REGEX or KEY!~REGEX' });
  }
  const [, key = '', operator = '', value = ''] = match;
  const test = testFor({ operator: operator as Operator, value, text }, compile);
  return {
    text,
    key,
    value,
    isNegated: operator.startsWith('!'),
    matches: (item) => test(Object.hasOwn(item, key) ? (item[key] ?? '') : ''),
  };
}

/** Whether an item satisfies every filter; no filter at all is satisfied by everything. */
export function matchesAll(item: FlatItem, filters: readonly Filter[]): boolean {
  return filters.every((filter) => filter.matches(item));
}

/** As Python, which wrote the items, spells them. */
const TRUTHS: ReadonlyMap<string, string> = new Map([
  ['true', 'True'],
  ['false', 'False'],
]);

/** What the user probably meant, for a filter that is well formed but can hardly match anything. */
export function filterHint(text: string): string | undefined {
  const [, key = '', operator = '', value = ''] = GRAMMAR.exec(text) ?? [];
  const typed = operator + value.slice(0, 1);
  if (typed === '==') return `'${text}': write ${key}=${value.slice(1)} with one '='`;
  if (typed === '=~' || typed === '~=') return `'${text}': write ${key}~${value.slice(1)} for a regular expression`;
  const truth = TRUTHS.get(value);
  return truth && `'${text}': write ${key}${operator}${truth}`;
}

interface Condition {
  readonly operator: Operator;
  readonly value: string;
  readonly text: string;
}

function testFor({ operator, value, text }: Condition, compile: CompileExpression): (found: string) => boolean {
  if (operator === '=') return (found) => found === value;
  if (operator === '!=') return (found) => found !== value;
  const expression = translateExpression(value, text, compile);
  return operator === '~' ? (found) => expression.test(found) : (found) => !expression.test(found);
}

/** What Python writes differently. Its anchors stay at the ends of the whole text, with `(?m)` too. */
const PYTHON_TOKENS: Readonly<Record<string, string>> = {
  '\\A': '(?<![^])',
  '\\Z': '(?![^])',
  '(?P<': '(?<',
};

/** Python's `re` dialect in JavaScript's words, as far as the two can be made to agree. */
function translateExpression(source: string, text: string, compile: CompileExpression): Expression {
  const flags = /^\(\?([ism]+)\)/.exec(source);
  const body = source
    .slice(flags?.[0].length ?? 0)
    .replaceAll(/\\.|\(\?P</gs, (token) => PYTHON_TOKENS[token] ?? token);
  try {
    return compile(body, `u${flags?.[1] ?? ''}`);
  } catch (cause) {
    throw new UsageError(`the regular expression in filter '${text}' cannot be used`, {
      cause,
      hint: 'close each bracket, or write \\ before it; Python-only syntax beyond (?i), (?s), (?m), (?P<name>…), \\A and \\Z is not supported',
    });
  }
}

function unlimited(pattern: string, flags: string): Expression {
  return new RegExp(pattern, flags);
}
