import { dirname } from 'node:path';
import type { CheckedFinding } from '../core/finding.ts';
import { type Check, runChecks } from '../gather/health.ts';
import { checkSource } from '../gather/health-network.ts';
import { resolveSource, type SourceLocation } from '../simplestreams/source.ts';
import type { CommandContext } from './context.ts';
import type { CommonArguments } from './options.ts';
import { DEFAULT_SOURCE } from './source-options.ts';
import { fetcherOf } from './session.ts';

/** Tries every configured source, or the default one if there is none. */
export async function sourceChecks(
  context: CommandContext,
  options: CommonArguments,
): Promise<readonly CheckedFinding[]> {
  const fetcher = fetcherOf(context, { retries: 0 });
  try {
    const way = { fetcher, env: context.env, signal: context.signal };
    const checks = locationsOf(context, options).map((location): Check<undefined> => [
      'source',
      () => checkSource(location, way),
    ]);
    return await runChecks(checks, undefined);
  } finally {
    await fetcher.close();
  }
}

function locationsOf({ cwd }: CommandContext, { configuration }: CommonArguments): readonly SourceLocation[] {
  if (configuration === undefined || configuration.sources.length === 0)
    return [resolveSource(DEFAULT_SOURCE, undefined, cwd)];
  return configuration.sources.map(({ url, path }) => resolveSource(url, path, dirname(configuration.file)));
}
