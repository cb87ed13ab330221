import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import type { RunNote } from '../core/run-note.ts';
import { EXIT, PartialError, PoolkeeperError, UsageError } from '../errors.ts';
import type { PoolFigures } from '../report/metrics-text.ts';
import { writeFileAtomic } from '../state/atomic-file.ts';
import { readRunNotes, writeRunNote } from '../state/run-notes.ts';
import type { CommandContext } from './context.ts';
import type { PoolArguments } from './options.ts';
import { collectionPolicy, type RetentionArguments } from './retention-options.ts';
import { stateDirOf } from './places.ts';
import { openSession, reporterOf, withConnection } from './session.ts';

/** The values that `metricsOption` yields. */
export interface MetricsArguments {
  readonly metricsFile: string | undefined;
}

/** The option of commands that are run at regular times and watched. */
export function metricsOption<T>(yargs: Argv<T>) {
  return yargs.option('metrics-file', {
    type: 'string',
    requiresArg: true,
    describe: 'write figures for Prometheus to this file, however the run ends',
  });
}

interface ObservedArguments extends PoolArguments, RetentionArguments, MetricsArguments {}

/**
 * Runs a command, then notes how it ended and writes the metrics file that was asked for, also after a failure. Neither
 * changes how the command ends.
 */
export async function observeRun(
  { command, context, options }: { command: string; context: CommandContext; options: ObservedArguments },
  work: (context: CommandContext) => Promise<void>,
): Promise<void> {
  if (options.metricsFile === '') throw new UsageError('--metrics-file needs the name of a file');
  const startedAt = context.clock.now();
  const seen = new Set<unknown>();
  const outcome = await work({ ...context, onError: (error) => seen.add(error) }).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  // The last line of a run only sums up what was reported before.
  if (outcome !== undefined && !(outcome.error instanceof PartialError)) seen.add(outcome.error);
  const exitStatus = outcome === undefined ? EXIT.done : statusOf(outcome.error);
  const observed = { command, pool: options.pool, startedAt, exitStatus, failures: countKinds([...seen]) };
  await afterRun(observed, context, options);
  if (outcome !== undefined) throw outcome.error;
}

/** Notes the run, and writes the metrics of all commands on the pool. */
async function afterRun(
  observed: Omit<RunNote, 'endedAt' | 'succeededAt'>,
  context: CommandContext,
  options: ObservedArguments,
): Promise<void> {
  const reporter = reporterOf(context, options);
  const { command, exitStatus, pool } = observed;
  const endedAt = context.clock.now();
  try {
    const stateDir = stateDirOf(context, options);
    const earlier = await readRunNotes(stateDir, pool).catch(nothingKnown);
    const last = earlier.find((note) => note.command === command);
    const run = { ...observed, endedAt, succeededAt: exitStatus === EXIT.done ? endedAt : last?.succeededAt };
    // Of a run that failed, enough was said; it may have failed for the same reason.
    const unnoted = await writeRunNote(stateDir, run, context.uid).catch(toKnown);
    if (unnoted !== undefined && exitStatus === EXIT.done) reporter.warning(unnoted.message, unnoted.hint);
    if (options.metricsFile === undefined) return;
    await writeMetrics([...earlier.filter((note) => note !== last), run], context, options);
  } catch (error) {
    const { message, hint } = toKnown(error);
    reporter.warning(message, hint);
  }
}

async function writeMetrics(
  runs: readonly RunNote[],
  context: CommandContext,
  options: ObservedArguments,
): Promise<void> {
  const { metricsText } = await import('../report/metrics-text.ts');
  const text = metricsText({ version: context.version, runs, figures: await figuresOf(context, options) });
  // The collector's user is not poolkeeper's.
  await writeFileAtomic(resolve(context.cwd, options.metricsFile ?? ''), Buffer.from(text), { mode: 0o644 });
}

/** Nothing, when the pool cannot be looked at: the run has failed for that reason, and the metrics say so. */
async function figuresOf(context: CommandContext, options: ObservedArguments): Promise<PoolFigures | undefined> {
  if (context.signal.aborted) return undefined;
  const { gatherPoolFigures } = await import('./pool-figures.ts');
  try {
    return await withConnection(options, async (connection) =>
      gatherPoolFigures(await openSession(context, options, connection), collectionPolicy(options)),
    );
  } catch (error) {
    toKnown(error);
    return undefined;
  }
}

function statusOf(error: unknown): number {
  return error instanceof PoolkeeperError ? error.exitStatus : EXIT.failure;
}

function countKinds(errors: readonly unknown[]): RunNote['failures'] {
  const counts: Record<string, number> = {};
  for (const error of errors) {
    const kind = error instanceof PoolkeeperError ? error.code.replace('POOLKEEPER_', '').toLowerCase() : 'bug';
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** What keeps notes from being read keeps new ones from being written as well, and that is said. */
function nothingKnown(error: unknown): readonly RunNote[] {
  toKnown(error);
  return [];
}

/** @throws what is a bug. */
function toKnown(error: unknown): PoolkeeperError {
  if (error instanceof PoolkeeperError) return error;
  throw error;
}
