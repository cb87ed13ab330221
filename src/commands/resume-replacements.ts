import { imageLabel } from '../core/snapshots.ts';
import type { Replacement } from '../core/replacement.ts';
import { PoolkeeperError } from '../errors.ts';
import { resumeReplacement } from '../execute/replace-volume.ts';
import { assertSoleUse } from '../gather/sole-use.ts';
import { readRecords } from '../state/records.ts';
import type { LockedSession } from './session.ts';

/**
 * Brings to an end what an interrupted run began with the content of an image, before anything else is looked at. What
 * cannot be ended now stays open, with a warning: it must not keep anybody from what has nothing to do with it.
 */
export async function resumeReplacements(session: LockedSession): Promise<void> {
  const { environment, reporter } = session;
  const { journal } = environment;
  for (const { id, intent } of journal.openIntents()) {
    if (intent.kind !== 'replace') continue;
    const label = await labelOf(intent, session);
    try {
      const outcome = await resumeReplacement(id, intent, () => assertIdle(intent, label, session), environment);
      await journal.done(id);
      const text = `an earlier run was interrupted while it changed image ${label}: ${OUTCOMES[outcome]}`;
      reporter.event('info', text, 'recovery', { intent: intent.kind, image: intent.volumeName, outcome });
    } catch (error) {
      if (!(error instanceof PoolkeeperError)) throw error;
      environment.signal.throwIfAborted();
      reporter.warning(`cannot finish what an earlier run began with image ${label}: ${error.message}`, error.hint);
    }
  }
}

const OUTCOMES = {
  finished: 'the change is done now',
  untouched: 'the change is called off, and nothing was lost',
  foreign:
    'somebody put something else in its place since, which is left as it is; the content that it was to have is kept as a snapshot',
} as const;

function assertIdle({ volumeName }: Replacement, label: string, session: LockedSession): Promise<void> {
  return assertSoleUse(session, { volumeName, label, isContentKept: true });
}

async function labelOf({ volumeName }: Replacement, { paths }: LockedSession): Promise<string> {
  const { records } = await readRecords(paths.records);
  const identity = records.get(volumeName)?.identity;
  return identity === undefined ? `'${volumeName}'` : imageLabel(identity);
}
