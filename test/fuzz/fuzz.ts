import * as fc from 'fast-check';
import { PoolkeeperError } from '../../src/errors.ts';
import { mutated } from './mutation.ts';
import type { Target } from './targets.ts';

/** No input may take longer. Honest ones take less than a millisecond. */
const LONGEST_MS = 2000;
/** No input may leave more memory in use, or need more on the way. */
const MOST_BYTES = 512 * 2 ** 20;

/** How long to go on: a number of inputs, or a time. */
export type Extent = { readonly runs: number } | { readonly seconds: number };

/** Feeds nearly valid inputs to a target; throws with the seed and the shrunk input of what went wrong. Returns how many. */
export async function fuzz(target: Target, extent: Extent): Promise<number> {
  const property = fc.asyncProperty(mutated(target.material), (input) => tryOne(target, input));
  const limits =
    'runs' in extent
      ? { numRuns: extent.runs }
      : { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: extent.seconds * 1000 };
  const details = await fc.check(property, limits);
  if (details.failed) throw new Error(`${target.name}: ${fc.defaultReportMessage(details) ?? 'failed'}`);
  return details.numRuns;
}

async function tryOne(target: Target, input: Buffer): Promise<void> {
  const since = performance.now();
  const memory = process.memoryUsage.rss();
  try {
    await target.read(input);
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
  }
  const tookMs = performance.now() - since;
  const tookBytes = process.memoryUsage.rss() - memory;
  if (tookMs > LONGEST_MS) throw new Error(`it took ${Math.round(tookMs)} ms`);
  if (tookBytes > MOST_BYTES) throw new Error(`it took ${tookBytes} bytes`);
}
