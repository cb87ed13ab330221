import { dirname } from 'node:path';
import type { ValueChecks } from '../config/configuration.ts';
import { nearNames } from '../core/near-names.ts';
import { parseFilter } from '../core/filter.ts';
import { UsageError } from '../errors.ts';
import { PINNED_KEYS } from '../simplestreams/keyring.ts';
import { resolveSource } from '../simplestreams/source.ts';
import { timedExpression } from './timed-expression.ts';

/** Checks values of a configuration file as the options of the same meaning are checked. */
export function checksFor(file: string): ValueChecks {
  return {
    url: (text, name) => {
      // The text is not repeated: it may hold a password.
      if (!ADDRESS.test(text))
        throw new UsageError(`${name} is neither an address nor an absolute path`, {
          hint: 'begin it with https://, http://, file:// or /',
        });
      return resolveSource(text, undefined, dirname(file)).display;
    },
    filter: (text) => void parseFilter(text, timedExpression),
    keyring: assertKeyring,
  };
}

const ADDRESS = /^(?:\/|[a-z][a-z0-9+.-]*:\/\/)/i;

/** A whole fingerprint, in hexadecimal digits. */
export const FINGERPRINT = /^(?:[0-9A-F]{40}|[0-9A-F]{64})$/;

function assertKeyring(text: string, name: string): void {
  if (text.startsWith('/') || Object.hasOwn(PINNED_KEYS, text) || FINGERPRINT.test(text)) return;
  const [near] = nearNames(text, Object.keys(PINNED_KEYS));
  throw new UsageError(`${name} is neither a file nor a key: '${text}'`, {
    hint:
      near === undefined
        ? `write the absolute path of a file, a publisher (${Object.keys(PINNED_KEYS).join(', ')}), or the fingerprint of a key that was added`
        : `did you mean '${near}'?`,
  });
}
