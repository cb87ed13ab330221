import type { Chain } from '../core/chains.ts';
import { soleUseOf } from '../core/sole-use.ts';
import { FailureError, IncompleteViewError, InUseError } from '../errors.ts';
import { type PoolToJudge, seePool } from './judge-pool.ts';
import { findSeen } from './pool-nodes.ts';
import { whyNot } from '../usage/places.ts';

/** Which volume is to get another content. */
export interface ContentChange {
  readonly volumeName: string;
  /** What the user calls it. */
  readonly label: string;
  /** Whether what is in it now stays readable under its name. */
  readonly isContentKept: boolean;
}

/**
 * Looks at everything afresh and makes sure that a volume can get another content under its name: nobody has it open,
 * nothing stands on it, and nothing keeps a state that belongs to its content.
 *
 * @throws InUseError naming all that does; IncompleteViewError when something cannot be seen; FailureError for another
 * host, whose open files cannot be.
 */
export async function assertSoleUse(target: PoolToJudge, change: ContentChange): Promise<void> {
  const { label, volumeName, isContentKept } = change;
  const { gathered, elsewhere } = await seePool(target);
  const node = findSeen(gathered.volumes, target.pool.name, volumeName)?.node;
  if (node === undefined) throw new InUseError(`cannot change image ${label}: its volume is gone`);
  const locality = gathered.places.pools.get(target.pool.name) ?? { is: 'empty' };
  if (locality.is !== 'here') {
    throw new FailureError(`cannot see from here who has image ${label} open: ${whyNot(locality)}`, {
      hint: 'run poolkeeper on the host of the storage pool itself',
    });
  }
  const cause = elsewhere.get(node.id);
  if (cause !== undefined) throw inUse(label, [cause], `let only one storage pool show it`);
  const { obstacles, blindSpots } = soleUseOf(node, gathered.graph, isContentKept);
  if (obstacles.length > 0) throw inUse(label, obstacles.map(textOf), hintFor(obstacles));
  if (blindSpots.length === 0) return;
  const list = blindSpots.map(({ what, cause: why, remedy }) => `\n  ${what}: ${why}; ${remedy}`).join('');
  throw new IncompleteViewError(`cannot change image ${label}, because not everything could be seen:${list}`, {
    hint: 'clear the cause of each, then run again',
  });
}

function inUse(label: string, causes: readonly string[], hint: string): InUseError {
  const list = [...new Set(causes)].map((cause) => `\n  ${cause}`).join('');
  return new InUseError(`cannot change image ${label} while it is in use:${list}`, { hint });
}

/** The document that names the volume says most: it is the one to mend. */
function textOf({ cause, links }: Chain): string {
  const [link] = links;
  if (link === undefined || links.length > 1 || 'id' in link.from) return `${cause} stands on it`;
  const { document, isRaw = false, isFixed = false } = link.edge;
  if (!document.startsWith(`${cause}, `)) return cause;
  if (isRaw) return `${document}: opens it as raw bytes`;
  return isFixed ? `${document}: says itself what the image stands on` : document;
}

function hintFor(obstacles: readonly Chain[]): string {
  const documents = obstacles.flatMap(({ links }) => links.slice(0, 1).map(({ edge }) => edge));
  const has = (words: RegExp): boolean => documents.some(({ document }) => words.test(document));
  if (has(/^domain .*, live XML$/)) return 'shut the domain down, then run again';
  if (has(/^domain .*, managed save XML$/))
    return `a saved state belongs to the content: 'virsh managedsave-remove' drops it`;
  if (has(/^domain .*, snapshot /))
    return `libvirt's own snapshots belong to the content: 'virsh snapshot-delete' drops one`;
  if (has(/^domain .*, checkpoint /)) return `a checkpoint belongs to the content: 'virsh checkpoint-delete' drops one`;
  if (documents.some(({ isRaw = false }) => isRaw)) return `let the disk's <driver> say type='qcow2'`;
  if (documents.some(({ isFixed = false }) => isFixed)) return `remove <backingStore> from the disk with 'virsh edit'`;
  return 'end what uses it, then run again';
}
