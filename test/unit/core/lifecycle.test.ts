import { expect } from 'chai';
import { effectiveStatus, IMAGE_STATUSES, type ImageStatus, isLegalMove, wayTo } from '../../../src/core/lifecycle.ts';

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

describe('wayTo', () => {
  const statuses = [...IMAGE_STATUSES, undefined];
  const beginnings: readonly ImageStatus[] = ['queued', 'saving', 'importing', 'active', 'pending_delete'];

  for (const from of statuses) {
    for (const to of IMAGE_STATUSES) {
      it(`leads from ${from ?? 'nothing'} to ${to} by legal moves only, if at all`, () => {
        let at = from;
        for (const next of wayTo(from, to) ?? []) {
          const isFound = (from === undefined || from === 'deleted') && next === 'deactivated';
          const isBeginning = isFound || beginnings.includes(next);
          const isLegal = at === undefined || at === 'deleted' ? isBeginning : isLegalMove(at, next);
          expect(isLegal, `${at} to ${next}`).to.equal(true);
          at = next;
        }
        expect([to, from]).to.include(at);
      });
    }
  }

  for (const [from, to, way] of [
    ['killed', 'saving', ['queued', 'saving']],
    ['importing', 'saving', ['queued', 'saving']],
    ['active', 'active', []],
    ['active', 'deleted', ['pending_delete', 'deleted']],
    ['active', 'saving', ['pending_delete', 'deleted', 'saving']],
    ['saving', 'deleted', ['queued', 'deleted']],
    ['deleted', 'saving', ['saving']],
    [undefined, 'active', ['active']],
    ['active', 'killed', undefined],
    ['pending_delete', 'killed', undefined],
    ['killed', 'deactivated', undefined],
    [undefined, 'killed', undefined],
    [undefined, 'deactivated', ['deactivated']],
    ['deleted', 'deactivated', ['deactivated']],
    ['pending_delete', 'deactivated', undefined],
  ] as const) {
    it(`from ${from ?? 'nothing'} to ${to} is ${way?.join(', ') ?? 'none'}`, () => {
      expect(wayTo(from, to)).to.deep.equal(way);
    });
  }
});

describe('effectiveStatus', () => {
  const STATUSES = [undefined, ...IMAGE_STATUSES] as const;

  it('takes a volume about which nothing is written down for one of uvtool, or for garbage', () => {
    const changed = (isOffered: boolean) =>
      STATUSES.filter((status) => effectiveStatus(status, { hasVolume: true, isOffered }) !== status);
    expect(changed(true)).to.deep.equal([undefined, 'queued', 'deleted']);
    expect(changed(false)).to.deep.equal([undefined, 'queued', 'deleted']);
    expect(effectiveStatus(undefined, { hasVolume: true, isOffered: true })).to.equal('active');
    expect(effectiveStatus('deleted', { hasVolume: true, isOffered: false })).to.equal('pending_delete');
  });

  it('keeps a volume of which nobody knows whose it is, whatever a record presumes', () => {
    const evidence = { hasVolume: true, isOffered: false, isUnclaimed: true };
    for (const status of [undefined, 'deleted', 'pending_delete'] as const)
      expect(effectiveStatus(status, evidence)).to.equal('deactivated');
  });

  it('takes what was complete and has no volume for deleted', () => {
    const evidence = { hasVolume: false, isOffered: false };
    expect(STATUSES.map((status) => effectiveStatus(status, evidence))).to.deep.equal([
      'deleted',
      'queued',
      'saving',
      'importing',
      'deleted',
      'deleted',
      'deleted',
      'killed',
      'deleted',
    ]);
  });
});
