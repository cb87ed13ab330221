import { expect } from 'chai';
import { IMAGE_STATUSES, type ImageStatus } from '../../../src/core/lifecycle.ts';
import { openNebulaState, type OpenNebulaState } from '../../../src/core/opennebula-state.ts';

/** Unused, used by one, used by several; then the same while a clone is made of it. */
const STATES: Readonly<Record<ImageStatus, readonly (OpenNebulaState | undefined)[]>> = {
  queued: ['lock', 'lock', 'lock', 'lock', 'lock', 'lock'],
  saving: ['lock', 'lock', 'lock', 'lock', 'lock', 'lock'],
  importing: ['lock', 'lock', 'lock', 'lock', 'lock', 'lock'],
  active: ['rdy', 'used', 'used', 'clon', 'clon', 'clon'],
  deactivated: ['disa', 'disa', 'disa', 'disa', 'disa', 'disa'],
  pending_delete: ['dele', 'dele', 'dele', 'dele', 'dele', 'dele'],
  killed: ['err', 'err', 'err', 'err', 'err', 'err'],
  deleted: [undefined, undefined, undefined, undefined, undefined, undefined],
};

describe('openNebulaState', () => {
  for (const status of IMAGE_STATUSES) {
    it(`tells ${STATES[status].join(', ')} for ${status}`, () => {
      const states = [false, true].flatMap((isBeingCloned) =>
        [0, 1, 7].map((users) => openNebulaState(status, { users, isBeingCloned })),
      );
      expect(states).to.deep.equal(STATES[status]);
    });
  }
});
