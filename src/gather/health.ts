import { type CheckedFinding, type Finding, problem } from '../core/finding.ts';
import { PoolkeeperError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { PermissionSettings } from '../state/accounts.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import type { OwnDirectory } from '../usage/directories.ts';
import type { PoolSight } from './judge-pool.ts';

/** One thing to look at. What it throws is what it found. */
export type Check<Subject> = readonly [
  name: string,
  run: (subject: Subject) => readonly Finding[] | Promise<readonly Finding[]>,
];

/** A pool to examine, with everything that was seen of it. */
export interface PoolPatient {
  readonly connection: Connection;
  readonly pool: StoragePool;
  readonly paths: PoolStatePaths;
  readonly stateDir: string;
  readonly sight: PoolSight;
  readonly uid: number;
  /** Where poolkeeper writes to. */
  readonly directories: readonly OwnDirectory[];
  /** What is configured for the permissions of new volumes. */
  readonly permissions: PermissionSettings;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What is to stay free in the pool. */
  readonly reserveBytes: bigint;
}

/** Runs checks one after the other; one that cannot be carried out is a finding itself, and keeps none from being run. */
export async function runChecks<Subject>(
  checks: readonly Check<Subject>[],
  subject: Subject,
): Promise<readonly CheckedFinding[]> {
  const findings: CheckedFinding[] = [];
  for (const [check, run] of checks) {
    for (const finding of await attempt(() => run(subject))) findings.push({ check, ...finding });
  }
  return findings;
}

async function attempt(run: () => readonly Finding[] | Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
    return [problem(error.message, error.hint)];
  }
}
