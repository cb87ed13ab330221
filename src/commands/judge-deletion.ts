import { identityText } from '../core/identity.ts';
import type { SweepPolicy, Verdict } from '../core/sweep-plan.ts';
import { usersOf } from '../core/usage.ts';
import { FailureError, InUseError } from '../errors.ts';
import { type Judgement, judgeSight, type PoolSight, type Scope, seePool } from '../gather/judge-pool.ts';
import { findSeen } from '../gather/pool-nodes.ts';
import { reasonText } from '../report/sweep-report.ts';
import type { FoundImage } from './find-image.ts';
import { imageText } from './permit.ts';
import type { Session } from './session.ts';

/** The user named the images, so no time has to pass. */
export function namedPolicy({ context }: Session): SweepPolicy {
  return { now: context.clock.now(), graceMs: 0, minAgeMs: 0 };
}

/**
 * Judges images that the user named as if nobody were offered them.
 *
 * @param isAlsoRemote whether it is no obstacle that the files are not those of this host.
 *
 * @throws InUseError naming everything that uses one of them; FailureError when one cannot be judged.
 */
export async function judgeDeletion(
  session: Session,
  images: readonly FoundImage[],
  { isAlsoRemote = false }: Pick<Scope, 'isAlsoRemote'> = {},
): Promise<Judgement & Pick<PoolSight, 'gathered'>> {
  const sight = await seePool(session);
  const held = images.filter(({ hasVolume }) => hasVolume);
  const names = new Set(held.map(({ volumeName }) => volumeName));
  const judgement = judgeSight(sight, namedPolicy(session), { only: names, retired: names, isAlsoRemote });
  for (const image of held) assertDeletable(image, judgement.verdicts, sight);
  return { ...judgement, gathered: sight.gathered };
}

function assertDeletable(image: FoundImage, verdicts: readonly Verdict[], sight: PoolSight): void {
  const verdict = verdicts.find(({ volume }) => volume.name === image.volumeName);
  if (verdict === undefined) throw refusal(image, causeToStay(image, sight));
  if (verdict.action === 'delete' || verdict.reason.kind === 'unseen') return;
  if (verdict.reason.kind !== 'needed') throw refusal(image, reasonText(verdict.reason));
  const users = (usersOf(sight.gathered.graph).get(nodeIdOf(image, sight)) ?? []).map(({ label }) => label);
  const reason = users.length === 0 ? reasonText(verdict.reason) : `needed by ${users.join(', ')}`;
  throw new InUseError(`cannot delete ${imageText(image)}: ${reason}`, {
    hint: `'poolkeeper why' shows the evidence; ${wayOut(image)}`,
  });
}

function wayOut({ record, volumeName }: FoundImage): string {
  return record?.pin === undefined
    ? `'poolkeeper disable' keeps new domains off it`
    : `'poolkeeper unlock ${volumeName}' takes the lock off`;
}

function refusal(image: FoundImage, reason: string): FailureError {
  return new FailureError(`cannot delete ${imageText(image)}: ${reason}`, { hint: `'poolkeeper why' tells more` });
}

function causeToStay(image: FoundImage, sight: PoolSight): string {
  const { elsewhere, view } = sight;
  const unread = view.unknown.get(identityText(image.identity));
  return elsewhere.get(nodeIdOf(image, sight)) ?? unread ?? 'not everything about it can be read';
}

function nodeIdOf({ volumeName }: FoundImage, { gathered, view }: PoolSight): string {
  return findSeen(gathered.volumes, view.pool.name, volumeName)?.node.id ?? '';
}
