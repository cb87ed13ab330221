import { formatDuration } from '../core/duration.ts';
import { type Finding, ok, orOk, problem, warning } from '../core/finding.ts';
import type { JournalIntent } from '../core/journal.ts';
import { identityText } from '../core/identity.ts';
import type { Lease } from '../core/lease.ts';
import { EXIT } from '../errors.ts';
import { readHostMoment, readProcessStart } from '../state/host-moment.ts';
import { readOpenIntents } from '../state/journal.ts';
import { readLeases } from '../state/leases.ts';
import { type LockOwner, readLockOwner } from '../state/lock.ts';
import { readRunNotes } from '../state/run-notes.ts';
import { readSourceMemories } from '../state/source-memory.ts';
import type { PoolPatient } from './health.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Clocks of hosts that are in step are apart by less. */
const CLOCK_TOLERANCE_MS = 5 * MINUTE_MS;
/** A host that is synced every day has missed several runs by then. */
const LONGEST_WITHOUT_SYNC_MS = 7 * DAY_MS;

/** Whether somebody is at work, and whether somebody's work was cut off. */
export async function checkLock({ paths, now }: PoolPatient): Promise<readonly Finding[]> {
  const owner = await readLockOwner(paths.lock);
  if (owner === undefined) return [ok('no run is under way')];
  const since = Date.parse(owner.since);
  const who = `${owner.command}, pid ${owner.pid}, since ${owner.since}`;
  if (!(await isAlive(owner, now)))
    return [warning(`a run was killed (${who}); its lock ended with it`, `'poolkeeper sync' finishes what it began`)];
  if (now - since > DAY_MS)
    return [warning(`a run has been under way for ${formatDuration(now - since)} (${who})`, `kill ${owner.pid}`)];
  return [ok(`a run is under way (${who})`)];
}

/** Of a process on another host nothing is known. */
async function isAlive({ host, pid }: LockOwner, now: number): Promise<boolean> {
  return (await readHostMoment(now)).host !== host || (await readProcessStart(pid)) !== undefined;
}

/** Whether a run left something half done. */
export async function checkJournal({ paths, now }: PoolPatient): Promise<readonly Finding[]> {
  const open = await readOpenIntents(paths.journal);
  const owner = await readLockOwner(paths.lock);
  if (owner !== undefined && (await isAlive(owner, now))) return [ok(`${open.length} step(s) are under way`)];
  const left = open.map(({ intent }) =>
    warning(`an earlier run was interrupted during ${intent.kind} of ${subjectOf(intent)}`, 'poolkeeper sync'),
  );
  return orOk(left, 'no run was interrupted');
}

function subjectOf(intent: JournalIntent): string {
  return 'identity' in intent ? `image ${identityText(intent.identity)}` : `volume '${intent.volumeName}'`;
}

/** Whether every lease can be understood; one that cannot keeps its image for good, or all of them. */
export async function checkLeases({ paths }: PoolPatient): Promise<readonly Finding[]> {
  const { leases, damaged } = await readLeases(paths.leases);
  const findings = damaged.map(({ path, volumeName, error }) =>
    problem(
      `${error.message}, so that ${volumeName === undefined ? 'no image' : `volume '${volumeName}'`} can be deleted`,
      `if no command needs it: rm '${path}'`,
    ),
  );
  return orOk(findings, `${leases.length} lease(s) can be read`);
}

/** Whether anything was written at a time that has not come yet: ages and periods cannot be told then. */
export async function checkClock({ paths, stateDir, pool, sight, now }: PoolPatient): Promise<readonly Finding[]> {
  const { leases } = await readLeases(paths.leases);
  const runs = await readRunNotes(stateDir, pool.name);
  const moments: readonly (readonly [string, number])[] = [
    ...[...sight.view.records.values()].map(
      ({ identity, times }) => [`image ${identityText(identity)} has a record`, latest(Object.values(times))] as const,
    ),
    ...leases.map(({ id, createdAt }: Lease) => [`lease ${id} is`, createdAt] as const),
    ...runs.map(({ command, endedAt }) => [`the last ${command} ended`, endedAt] as const),
    ...(await readSourceMemories(paths.sources)).map(
      ({ url, documents }) =>
        [`${url} has a document`, latest(Object.values(documents).map(({ updatedAtMs }) => updatedAtMs))] as const,
    ),
  ];
  const ahead = moments.filter(([, atMs]) => atMs > now + CLOCK_TOLERANCE_MS);
  const findings = ahead.map(([what, atMs]) =>
    warning(
      `${what} of ${new Date(atMs).toISOString()}, which is yet to come: the clock of this host is slow, or was fast`,
      `set the clock, see 'timedatectl status'`,
    ),
  );
  return orOk(findings, 'nothing is dated in the future');
}

function latest(times: readonly number[]): number {
  return Math.max(0, ...times);
}

/** Whether the pool is synced, and how the last sync ended. */
export async function checkLastSync({ stateDir, pool, now }: PoolPatient): Promise<readonly Finding[]> {
  const last = (await readRunNotes(stateDir, pool.name)).find(({ command }) => command === 'sync');
  if (last === undefined) return [warning(`storage pool '${pool.name}' was never synced from here`, 'poolkeeper sync')];
  const ago = `${formatDuration(Math.max(0, now - last.endedAt))} ago`;
  if (last.exitStatus !== EXIT.done)
    return [
      warning(
        `the last sync ended with exit status ${last.exitStatus}, ${ago}`,
        `run 'poolkeeper sync' and see what it says`,
      ),
    ];
  if (now - last.endedAt > LONGEST_WITHOUT_SYNC_MS)
    return [warning(`the last sync was ${ago}`, `see 'systemctl list-timers poolkeeper-sync.timer'`)];
  return [ok(`the last sync was ${ago}`)];
}
