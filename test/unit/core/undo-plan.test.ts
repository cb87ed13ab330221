import { expect } from 'chai';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import type { ImageRecord } from '../../../src/core/record.ts';
import { type HeldRecord, lastRun, planUndo, restorableRecords } from '../../../src/core/undo-plan.ts';

interface Facts {
  readonly status?: ImageStatus;
  readonly broughtBy?: string;
  readonly retiredBy?: string;
  readonly since?: number;
  readonly isOffered?: boolean;
}

function held(version: string, facts: Facts = {}): HeldRecord & { readonly record: ImageRecord } {
  const { status = 'pending_delete', broughtBy = 'uvtool', retiredBy, since = 0, isOffered = false } = facts;
  const identity = { product: 'noble', version };
  const nothing = { source: undefined, itemPath: undefined, sizeBytes: undefined, digest: undefined };
  const record = {
    volumeName: version,
    identity,
    status,
    reason: undefined,
    provenance: { ...nothing, signer: undefined, broughtBy },
    tags: {},
    times: { createdAt: 0, statusSince: since, lastNeededAt: 0 },
    retiredBy,
  };
  return { identity, record, isOffered };
}

describe('restorableRecords', () => {
  it('takes what waits for its deletion and was once complete', () => {
    const waiting = held('1');
    const images = [waiting, held('2', { status: 'killed' }), held('3', { broughtBy: 'unknown' })];
    const unknown = { identity: { product: 'noble', version: '4' }, record: undefined, isOffered: true };
    expect(restorableRecords([...images, unknown])).to.deep.equal([waiting.record]);
  });
});

describe('lastRun', () => {
  it('is the one that retired something last', () => {
    const records = [
      held('1', { retiredBy: 'first', since: 1 }),
      held('2', { retiredBy: 'last', since: 3 }),
      held('3', { since: 5 }),
    ].map(({ record }) => record);
    expect(lastRun(records)).to.equal('last');
    expect(lastRun([])).to.equal(undefined);
  });
});

describe('planUndo', () => {
  const offeredOf = (records: readonly ImageRecord[], images: readonly HeldRecord[]) =>
    planUndo(records, images).map(
      ({ record, isOffered }) => `${record.identity.version}${isOffered ? ' offered' : ''}`,
    );

  it('offers the newest of what is taken back', () => {
    const [one, two] = [held('1'), held('2')];
    expect(offeredOf([one.record, two.record], [one, two])).to.deep.equal(['1', '2 offered']);
  });

  for (const [what, other] of [
    ['offered', held('3', { isOffered: true })],
    ['retained', held('3', { status: 'active' })],
  ] as const) {
    it(`offers nothing while a newer version is ${what}`, () => {
      const two = held('2');
      expect(offeredOf([two.record], [two, other])).to.deep.equal(['2']);
    });
  }

  it('does not mind newer versions that wait for their deletion, nor other products', () => {
    const two = held('2');
    const other = { ...held('9', { isOffered: true }), identity: { product: 'jammy', version: '9' } };
    expect(offeredOf([two.record], [two, held('3'), other])).to.deep.equal(['2 offered']);
  });
});
