import type { Claims } from '../core/claim.ts';
import { identityText } from '../core/identity.ts';
import { isPinned, type Pin } from '../core/record.ts';
import { readRecords } from '../state/records.ts';

/**
 * What the pins in a pool's records keep at a moment. Images whose record cannot be read stay anyway.
 *
 * @throws FailureError when the directory cannot be listed.
 */
export async function pinClaims(poolUuid: string, dir: string, now: number): Promise<Claims> {
  const { records } = await readRecords(dir);
  const claims = [...records.values()].flatMap(({ volumeName, identity, pin }) =>
    pin === undefined || !isPinned({ pin }, now)
      ? []
      : [
          {
            kind: 'pin' as const,
            poolUuid,
            volumeName,
            label: pinLabel(pin),
            document: `record of image ${identityText(identity)}`,
            evidence: 'pin',
          },
        ],
  );
  return { claims, blindSpots: [] };
}

function pinLabel({ reason, until }: Pin): string {
  const why = reason === undefined ? '' : ` (${reason})`;
  const end = until === undefined ? '' : ` until ${new Date(until).toISOString()}`;
  return `the administrator's lock${why}${end}`;
}
