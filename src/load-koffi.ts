import { createRequire } from 'node:module';
import type koffi from 'koffi';
import { FailureError } from './errors.ts';

/**
 * Loads koffi when the first call into a C library needs it: commands that make none do not pay for it, and run where it has no
 * binary.
 *
 * @throws FailureError when it is missing, or was not made for this machine.
 */
export function loadKoffi(): typeof koffi {
  try {
    return createRequire(import.meta.url)('koffi') as typeof koffi;
  } catch (cause) {
    const [reason = ''] = String(cause).split('\n');
    throw new FailureError(`cannot load koffi, which calls C libraries: ${reason}`, {
      cause,
      hint: 'install poolkeeper again, on this machine: koffi brings a binary for its processor and its C library',
    });
  }
}
