/** The statuses of an image, in Glance's words. */
export const IMAGE_STATUSES = [
  'queued',
  'saving',
  'importing',
  'active',
  'deactivated',
  'pending_delete',
  'killed',
  'deleted',
] as const;

export type ImageStatus = (typeof IMAGE_STATUSES)[number];

const MOVES: Readonly<Record<ImageStatus, readonly ImageStatus[]>> = {
  queued: ['saving', 'importing', 'deleted'],
  saving: ['active', 'queued', 'killed'],
  importing: ['active', 'queued', 'killed'],
  active: ['deactivated', 'pending_delete'],
  deactivated: ['active', 'pending_delete'],
  pending_delete: ['active', 'deleted'],
  killed: ['queued', 'deleted'],
  deleted: [],
};

/** Whether an image may go from one status straight to another. A status never moves to itself. */
export function isLegalMove(from: ImageStatus, to: ImageStatus): boolean {
  return MOVES[from].includes(to);
}

/** Statuses that claim nothing about a volume, so that a record may take one for a moment on its way. */
const STEPPING_STONES: ReadonlySet<ImageStatus> = new Set<ImageStatus>(['queued', 'pending_delete', 'deleted']);

/** Statuses that the record of an image can begin with, and so one that was deleted and comes again. */
const BEGINNINGS: readonly ImageStatus[] = ['queued', 'saving', 'importing', 'active', 'pending_delete'];

/**
 * The shortest way of a record to a status, without its first, by legal moves through statuses that claim nothing:
 * `killed` to `saving` goes through `queued`. A deleted image, or one of which nothing was known, begins anew. Empty when
 * the status is reached already; `undefined` when there is no such way.
 */
export function wayTo(from: ImageStatus | undefined, to: ImageStatus): readonly ImageStatus[] | undefined {
  // A volume that is found and that nobody is to be offered yet.
  if ((from === undefined || from === 'deleted') && to === 'deactivated') return [to];
  const ways = new Map<ImageStatus | undefined, readonly ImageStatus[]>([[from, []]]);
  // A map is iterated in the order of insertion, and what is added meanwhile comes last: a queue.
  for (const [status, way] of ways) {
    if (status === to) return way;
    const isPassable = way.length === 0 || (status !== undefined && STEPPING_STONES.has(status));
    for (const next of isPassable ? nextOf(status) : []) if (!ways.has(next)) ways.set(next, [...way, next]);
  }
  return undefined;
}

function nextOf(status: ImageStatus | undefined): readonly ImageStatus[] {
  return status === undefined || status === 'deleted' ? BEGINNINGS : MOVES[status];
}

/** Statuses in which an image may have no volume yet, or none any more. */
const VOLUMELESS: ReadonlySet<ImageStatus> = new Set<ImageStatus>(['queued', 'saving', 'importing', 'killed']);

/** What is known of an image beside what its record says. */
export interface ImageEvidence {
  readonly hasVolume: boolean;
  /** It has a metadata file. */
  readonly isOffered: boolean;
  /** Nobody knows whose volume it is, so that only a person who names it decides on it. */
  readonly isUnclaimed?: boolean;
}

/** Whether a record says nothing about a volume that is there: there is none, or it says that there is no volume. */
export function saysNothing(recorded: ImageStatus | undefined): boolean {
  return recorded === undefined || recorded === 'deleted' || recorded === 'queued';
}

/**
 * The status of an image as it stands. A volume of which nothing is written down, or only that there is none, was brought by
 * uvtool if it is offered. Otherwise it is garbage, or is kept for whoever claims it; what was complete and has no volume any
 * more is gone.
 */
export function effectiveStatus(
  recorded: ImageStatus | undefined,
  { hasVolume, isOffered, isUnclaimed = false }: ImageEvidence,
): ImageStatus {
  if (hasVolume && isUnclaimed) return 'deactivated';
  if (hasVolume)
    return recorded === undefined || saysNothing(recorded) ? (isOffered ? 'active' : 'pending_delete') : recorded;
  return recorded !== undefined && VOLUMELESS.has(recorded) ? recorded : 'deleted';
}
