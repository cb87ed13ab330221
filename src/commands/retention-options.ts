import type { Argv } from 'yargs';
import { parseBytes } from '../core/byte-size.ts';
import { parseDuration } from '../core/duration.ts';
import type { CollectionPolicy, RetentionPolicy, RetentionSettings } from '../core/retention.ts';
import type { TrashPolicy } from '../core/trash.ts';
import { assertWholeNumber } from '../core/whole-number.ts';
import { DEFAULT_TRASH_FOR, GONE_CHOICES, MOST_VERSIONS } from '../config/settings.ts';
import { UsageError } from '../errors.ts';
import { displayOf } from './choose-sources.ts';
import type { ConfiguredArguments } from './configuration.ts';
import { sweepOptions } from './options.ts';

/** The values that `retentionOptions` yields. */
export interface RetentionArguments extends ConfiguredArguments {
  readonly keepVersions: number;
  readonly grace: string;
  readonly minAge: string;
  readonly unusedFor: string | undefined;
  readonly maxSize: string | undefined;
  readonly gone: RetentionPolicy['gone'];
  readonly allowMassRemoval: boolean;
  readonly trashFor?: string;
  readonly trashMinFree?: number;
}

/** Options of commands that collect garbage. */
export function retentionOptions<T>(yargs: Argv<T>) {
  const text = { type: 'string', requiresArg: true } as const;
  return sweepOptions(yargs)
    .option('keep-versions', {
      type: 'number',
      requiresArg: true,
      defaultDescription: '1',
      describe: 'newest versions of each product to hold',
    })
    .option('grace', { ...text, defaultDescription: '2h', describe: 'keep volumes that were needed within this time' })
    .option('unused-for', { ...text, describe: 'also drop older versions that nothing needed for so long' })
    .option('max-size', { ...text, describe: 'over it, drop older versions that were used longest ago, down to 80 %' })
    .option('trash-for', {
      ...text,
      defaultDescription: '7d',
      describe: 'how long what is deleted can be brought back',
    })
    .option('trash-min-free', {
      type: 'number',
      requiresArg: true,
      defaultDescription: '10',
      describe: 'empty the trash while less of the disk is free, in percent',
    })
    .option('gone', {
      ...text,
      choices: GONE_CHOICES,
      defaultDescription: 'keep',
      describe: 'products that left the source or the filters',
    });
}

/** @throws UsageError naming the option that does not make sense, or that would keep nothing. */
export function collectionPolicy(options: RetentionArguments): CollectionPolicy {
  const { unusedFor, maxSize } = options;
  const unusedForMs = unusedFor === undefined ? undefined : parseDuration(unusedFor, '--unused-for');
  const maxSizeBytes = maxSize === undefined ? undefined : parseBytes(maxSize, '--max-size');
  if (unusedForMs === 0 || maxSizeBytes === 0n) {
    throw new UsageError(`${unusedForMs === 0 ? '--unused-for' : '--max-size'} 0 would keep nothing`, {
      hint: `'poolkeeper purge' empties a pool`,
    });
  }
  const keepVersions = assertWholeNumber(options.keepVersions, '--keep-versions', 1, MOST_VERSIONS);
  return {
    graceMs: parseDuration(options.grace, '--grace'),
    minAgeMs: parseDuration(options.minAge, '--min-age'),
    retention: {
      policy: { keepVersions, unusedForMs, maxSizeBytes, gone: options.gone },
      sources: ownPolicies(options),
    },
  };
}

/** What is kept in the trash, and for how much space. */
export interface TrashSettings extends TrashPolicy {
  readonly reserveBytes: bigint;
}

/** @throws UsageError naming the option that does not make sense. */
export function trashSettings(
  options: Pick<RetentionArguments, 'trashFor' | 'trashMinFree'> & {
    /** A setting of transfers that counts here as well. */
    readonly reserve?: string;
  },
): TrashSettings {
  const { trashFor = DEFAULT_TRASH_FOR, trashMinFree = 10, reserve = '0' } = options;
  return {
    keepMs: parseDuration(trashFor, '--trash-for'),
    minFreePercent: assertWholeNumber(trashMinFree, '--trash-min-free', 0, 99),
    reserveBytes: parseBytes(reserve, '--reserve'),
  };
}

/** What the configuration says for single sources, unless the command line says it for all. */
function ownPolicies({ configuration, effective }: ConfiguredArguments): RetentionSettings['sources'] {
  const isGiven = (key: string): boolean => effective?.get(key)?.origin.kind === 'flag';
  const sources = configuration?.sources ?? [];
  return new Map(
    sources.map((settings) => {
      const keepVersions = isGiven('keep-versions') ? undefined : settings.keepVersions;
      const gone = isGiven('gone') ? undefined : settings.gone;
      const own = { ...(keepVersions !== undefined && { keepVersions }), ...(gone !== undefined && { gone }) };
      return [displayOf(settings), own] as const;
    }),
  );
}
