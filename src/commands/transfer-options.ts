import type { Argv } from 'yargs';
import { parseBytes } from '../core/byte-size.ts';
import { parseDuration } from '../core/duration.ts';
import { assertWholeNumber } from '../core/whole-number.ts';
import { MOST_RETRIES } from '../config/settings.ts';
import { UsageError } from '../errors.ts';
import { resolveSource } from '../simplestreams/source.ts';
import type { CommandContext } from './context.ts';

/** The values that `transferOptions` yields. */
export interface TransferArguments {
  readonly retries: number;
  readonly stallTimeout: string;
  readonly noResume: boolean;
  readonly mirror: readonly string[];
  readonly reserve: string;
}

/** How images are to be brought, with every value checked. */
export interface TransferPolicy {
  /** Tries after the first one, for what may pass. */
  readonly retries: number;
  /** The longest silence within a body. */
  readonly stallTimeoutMs: number;
  /** Whether to go on with what an interrupted run left. */
  readonly resumes: boolean;
  /** Where else the items of the source are, in the order in which they are tried. */
  readonly mirrors: readonly URL[];
  /** What has to stay free in the pool. */
  readonly reserveBytes: bigint;
}

/** Options of commands that bring images. */
export function transferOptions<T>(yargs: Argv<T>) {
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
    .option('no-resume', { type: 'boolean', default: false, describe: 'fetch unfinished images from their first byte' })
    .option('mirror', {
      type: 'string',
      array: true,
      requiresArg: true,
      default: [],
      describe: 'take images from here if the source does not have them; may be repeated',
    })
    .option('reserve', {
      type: 'string',
      requiresArg: true,
      defaultDescription: '0',
      describe: 'space to keep free in the pool, such as 10G',
    });
}

/** @throws UsageError naming the option that does not make sense. */
export function transferPolicy(options: TransferArguments, { cwd }: CommandContext): TransferPolicy {
  const { retries, stallTimeout, noResume, mirror, reserve } = options;
  assertWholeNumber(retries, '--retries', 0, MOST_RETRIES);
  const stallTimeoutMs = parseDuration(stallTimeout, '--stall-timeout');
  if (stallTimeoutMs === 0) throw new UsageError('--stall-timeout must be longer than nothing');
  return {
    retries,
    stallTimeoutMs,
    resumes: !noResume,
    mirrors: mirror.map((address) => resolveSource(address, undefined, cwd).base),
    reserveBytes: parseBytes(reserve, '--reserve'),
  };
}
