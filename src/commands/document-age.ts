import { formatDuration, parseDuration } from '../core/duration.ts';
import { TrustError } from '../errors.ts';
import type { StreamSummary } from '../simplestreams/fetch-stream.ts';
import type { Session } from './session.ts';

const USUAL_AGE_MS = 30 * 86_400_000;

/**
 * Tells when the newest document of a source is old. A signature stays good for ever, so whoever stands between host and
 * publisher could go on serving what was true once, and no image would ever be replaced again.
 *
 * @param maxAge what the user wrote; without it, there is a warning after 30 days.
 * @throws TrustError when the documents are older than that, or do not say how old they are.
 */
export function assertFresh(
  { documents, location }: StreamSummary,
  maxAge: string | undefined,
  { context, reporter }: Pick<Session, 'context' | 'reporter'>,
): void {
  const limitMs = maxAge === undefined ? USUAL_AGE_MS : parseDuration(maxAge, '--max-document-age');
  const dates = documents.flatMap(({ updatedAtMs }) => updatedAtMs ?? []);
  const newestMs = dates.length === 0 ? undefined : Math.max(...dates);
  const ageMs = newestMs === undefined ? undefined : context.clock.now() - newestMs;
  if (ageMs !== undefined && ageMs <= limitMs) return;
  const hint = 'ask the publisher whether it is still maintained; a server on the way may also hold new documents back';
  if (maxAge !== undefined)
    throw new TrustError(`cannot trust ${location.display}: ${ageText(ageMs, newestMs)}`, { hint });
  if (ageMs !== undefined) reporter.warning(`${location.display}: ${ageText(ageMs, newestMs)}`, hint);
}

function ageText(ageMs: number | undefined, newestMs: number | undefined): string {
  if (ageMs === undefined || newestMs === undefined) return 'none of its documents has a date';
  return `its newest document is of ${new Date(newestMs).toISOString()}, ${formatDuration(ageMs)} ago`;
}
