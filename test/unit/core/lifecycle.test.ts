import { expect } from 'chai';
import { IMAGE_STATUSES, type ImageStatus, isLegalMove } from '../../../src/core/lifecycle.ts';

/** The table of lifecycle.md, section 1. */
const LEGAL: Readonly<Record<ImageStatus, readonly ImageStatus[]>> = {
  queued: ['saving', 'importing', 'deleted'],
  saving: ['active', 'queued', 'killed'],
  importing: ['active', 'queued', 'killed'],
  active: ['deactivated', 'pending_delete'],
  deactivated: ['active', 'pending_delete'],
  pending_delete: ['active', 'deleted'],
  killed: ['queued', 'deleted'],
  deleted: [],
};

describe('isLegalMove', () => {
  for (const from of IMAGE_STATUSES) {
    for (const to of IMAGE_STATUSES) {
      const isLegal = LEGAL[from].includes(to);
      it(`${isLegal ? 'allows' : 'forbids'} ${from} to ${to}`, () => expect(isLegalMove(from, to)).to.equal(isLegal));
    }
  }

  it('leaves a way out of every status but the last', () => {
    const stuck = IMAGE_STATUSES.filter((from) => !IMAGE_STATUSES.some((to) => isLegalMove(from, to)));
    expect(stuck).to.deep.equal(['deleted']);
  });
});
