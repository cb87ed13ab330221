import { createRequire } from 'node:module';
import type koffi from 'koffi';

/**
 * Loads koffi when the first call into a C library needs it: commands that make none do not pay for it, and run where it has no
 * binary.
 */
export function loadKoffi(): typeof koffi {
  return createRequire(import.meta.url)('koffi') as typeof koffi;
}
