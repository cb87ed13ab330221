import { createHash } from 'node:crypto';
import type { BlindSpot } from '../core/reference.ts';
import { PoolkeeperError } from '../errors.ts';
import { attempt } from '../state/listing.ts';
import { readSpotNote, removeSpotNote, writeSpotNote } from '../state/spot-note.ts';

const WEEK_MS = 7 * 86_400_000;

/** Whether what could not be seen is to be told at length. */
export interface Word {
  readonly isDue: boolean;
  /** Since when just this could not be seen, in milliseconds since the epoch. */
  readonly since: number;
}

/**
 * A run under a timer tells what it cannot see when that changes, and once a week; whoever sits at a terminal is told each time.
 * Nothing but how much is said depends on it, so a note that cannot be read or written is none.
 *
 * @param dir where the state of the pool lies.
 */
export async function weeklyWord(
  blindSpots: readonly BlindSpot[],
  { dir, now, isInteractive }: { readonly dir: string; readonly now: number; readonly isInteractive: boolean },
): Promise<Word> {
  if (blindSpots.length === 0) {
    await attempt(() => removeSpotNote(dir));
    return { isDue: false, since: now };
  }
  const texts = blindSpots.map(({ kind = 'unseen', what }) => JSON.stringify([kind, what])).toSorted();
  const digest = createHash('sha256').update(texts.join('\n')).digest('hex');
  const note = await attempt(() => readSpotNote(dir));
  const known = note instanceof PoolkeeperError || note?.digest !== digest ? undefined : note;
  const since = Math.min(known?.since ?? now, now);
  // A clock that was ahead must not silence it for longer.
  const isDue = known === undefined || now - known.saidAt >= WEEK_MS || known.saidAt > now;
  if (isInteractive || !isDue) return { isDue: isInteractive, since };
  await attempt(() => writeSpotNote(dir, { digest, since, saidAt: now }));
  return { isDue: true, since };
}
