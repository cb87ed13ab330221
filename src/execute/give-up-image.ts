import type { ImageRecord } from '../core/record.ts';
import { type Environment, putRecord } from './environment.ts';

/**
 * Gives up an image that has not arrived wholly, so that what there is of it is garbage. Crash order: the record first; the
 * journal's intents, by which the next sync would go on with it, go last and only matter as long as they are open.
 */
export async function giveUpImage(record: ImageRecord, hasVolume: boolean, environment: Environment): Promise<void> {
  const { volumeName, identity, provenance, tags, status } = record;
  const draft = { volumeName, identity, provenance, tags, reason: 'it was given up before it had arrived' };
  const isUnderWay = status === 'saving' || status === 'importing';
  const given = isUnderWay ? await putRecord(environment, record, { ...draft, status: 'killed' }) : record;
  if (!hasVolume) await putRecord(environment, given, { ...draft, status: 'deleted' });
  for (const { id, intent } of environment.journal.openIntents()) {
    if ('volumeName' in intent && intent.volumeName === volumeName) await environment.journal.done(id);
  }
}
