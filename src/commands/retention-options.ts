import type { Argv } from 'yargs';
import { parseBytes } from '../core/byte-size.ts';
import { parseDuration } from '../core/duration.ts';
import type { CollectionPolicy, RetentionPolicy, RetentionSettings } from '../core/retention.ts';
import { assertWholeNumber } from '../core/whole-number.ts';
import { GONE_CHOICES, MOST_VERSIONS } from '../config/settings.ts';
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
