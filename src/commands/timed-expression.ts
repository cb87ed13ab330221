import { createContext, Script } from 'node:vm';
import type { Expression } from '../core/filter.ts';
import { UsageError } from '../errors.ts';

/** Harmless expressions need microseconds. */
const LIMIT_MS = 250;

/**
 * A regular expression that gives up after a quarter of a second per value. V8 looks for an interrupt whenever it
 * backtracks, so this ends every expression, whatever it and the value are; refusing patterns by their looks would refuse
 * good ones and miss bad ones. Each value is tried once: the items of a source share few values.
 *
 * @throws SyntaxError when the pattern is none; its `test` throws UsageError when it takes too long.
 */
export function timedExpression(pattern: string, flags: string): Expression {
  const place = createContext({ expression: new RegExp(pattern, flags), value: '' });
  const script = new Script('expression.test(value)');
  const known = new Map<string, boolean>();
  return {
    test(value) {
      const result = known.get(value) ?? run(value);
      known.set(value, result);
      return result;
    },
  };

  function run(value: string): boolean {
    place['value'] = value;
    try {
      return script.runInContext(place, { timeout: LIMIT_MS }) === true;
    } catch (cause) {
      throw new UsageError(`the regular expression '${pattern}' takes too long on ${JSON.stringify(shorten(value))}`, {
        cause,
        hint: 'do not repeat what is repeated already, as in (a+)+, or write KEY=VALUE',
      });
    }
  }
}

function shorten(value: string): string {
  return value.length <= 60 ? value : `${value.slice(0, 60)}…`;
}
