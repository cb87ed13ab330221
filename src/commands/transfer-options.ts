import type { Argv } from 'yargs';
import { parseBytes } from '../core/byte-size.ts';
import { parseDuration } from '../core/duration.ts';
import { assertWholeNumber } from '../core/whole-number.ts';
import { MOST_RETRIES } from '../config/settings.ts';
import { UsageError } from '../errors.ts';

/** The values that `patienceOptions` yields. */
export interface PatienceArguments {
  readonly retries: number;
  readonly stallTimeout: string;
  readonly reserve: string;
}

/** The values that `transferOptions` yields. */
export interface TransferArguments extends PatienceArguments {
  readonly noResume: boolean;
  readonly mirror: readonly string[];
}

/** How patiently bytes are to be brought, and into how much room, with every value checked. */
export interface Patience {
  /** Tries after the first one, for what may pass. */
  readonly retries: number;
  /** The longest silence within a body. */
  readonly stallTimeoutMs: number;
  /** What has to stay free in the pool. */
  readonly reserveBytes: bigint;
}

/** How images of a source are to be brought, with every value checked. */
export interface TransferPolicy extends Patience {
  /** Whether to go on with what an interrupted run left. */
  readonly resumes: boolean;
}

/** Options of commands that bring bytes. */
export function patienceOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('retries', {
      type: 'number',
      requiresArg: true,
      defaultDescription: '4',
      describe: 'how often to try again what may pass',
    })
    .option('stall-timeout', {
      type: 'string',
      requiresArg: true,
      defaultDescription: '60s',
      describe: 'give a connection up that is silent for this long',
    })
    .option('reserve', {
      type: 'string',
      requiresArg: true,
      defaultDescription: '0',
      describe: 'space to keep free in the pool, such as 10G',
    });
}

/** Options of commands that bring the images of a source. */
export function transferOptions<T>(yargs: Argv<T>) {
  return patienceOptions(yargs)
    .option('no-resume', { type: 'boolean', default: false, describe: 'fetch unfinished images from their first byte' })
    .option('mirror', {
      type: 'string',
      array: true,
      requiresArg: true,
      default: [],
      describe: 'take images from here if the source does not have them; may be repeated',
    });
}

/** @throws UsageError naming the option that does not make sense. */
export function transferPolicy(options: TransferArguments): TransferPolicy {
  return { ...patience(options), resumes: !options.noResume };
}

/** @throws UsageError naming the option that does not make sense. */
export function patience({ retries, stallTimeout, reserve }: PatienceArguments): Patience {
  assertWholeNumber(retries, '--retries', 0, MOST_RETRIES);
  const stallTimeoutMs = parseDuration(stallTimeout, '--stall-timeout');
  if (stallTimeoutMs === 0) throw new UsageError('--stall-timeout must be longer than nothing');
  return { retries, stallTimeoutMs, reserveBytes: parseBytes(reserve, '--reserve') };
}
