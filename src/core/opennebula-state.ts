import type { ImageStatus } from './lifecycle.ts';

/** The short states that `oneimage list` shows, as far as an image here can be in one. */
export type OpenNebulaState = 'lock' | 'rdy' | 'used' | 'disa' | 'err' | 'dele' | 'clon';

const STATES: Readonly<Record<ImageStatus, OpenNebulaState | undefined>> = {
  queued: 'lock',
  saving: 'lock',
  importing: 'lock',
  active: 'rdy',
  deactivated: 'disa',
  pending_delete: 'dele',
  killed: 'err',
  deleted: undefined,
};

/** How many things use an image, and whether it is being copied. */
export interface ImageUse {
  readonly users: number;
  /** A clone that reads it is under way. */
  readonly isBeingCloned: boolean;
}

/**
 * The state of an image in OpenNebula's words. One that was deleted has none there.
 *
 * Source: OpenNebula's documentation, "Images", table of states.
 */
export function openNebulaState(status: ImageStatus, { users, isBeingCloned }: ImageUse): OpenNebulaState | undefined {
  const state = STATES[status];
  if (state !== 'rdy') return state;
  if (isBeingCloned) return 'clon';
  return users > 0 ? 'used' : 'rdy';
}
