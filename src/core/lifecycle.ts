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
