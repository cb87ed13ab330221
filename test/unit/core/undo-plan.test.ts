import { expect } from 'chai';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import type { ImageRecord } from '../../../src/core/record.ts';
import type { Verdict } from '../../../src/core/sweep-plan.ts';
import { type HeldRecord, lastRun, planRescues, planUndo, restorableRecords } from '../../../src/core/undo-plan.ts';
import { candidate, volume } from './graph.ts';

interface Facts {
  readonly status?: ImageStatus;
  readonly broughtBy?: string;
  readonly retiredBy?: string;
  readonly since?: number;
  readonly neededAt?: number;
  readonly isOffered?: boolean;
}

function held(version: string, facts: Facts = {}): HeldRecord & { readonly record: ImageRecord } {
  const {
    status = 'pending_delete',
    broughtBy = 'uvtool',
    retiredBy,
    since = 0,
    neededAt = 0,
    isOffered = false,
  } = facts;
  const identity = { product: 'noble', version };
  const nothing = { source: undefined, itemPath: undefined, sizeBytes: undefined, digest: undefined };
  const record = {
    volumeName: version,
    identity,
    status,
    reason: undefined,
    provenance: { ...nothing, signer: undefined, broughtBy },
    tags: {},
    times: { createdAt: 0, statusSince: since, lastNeededAt: neededAt },
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

describe('planRescues', () => {
  const reason = { kind: 'needed', need: { cause: 'domain web1', link: undefined, parent: undefined } } as const;
  const inUse = new Set(['1']);

  function rescued(facts: Facts, inUseNow: ReadonlySet<string> = inUse, action: Verdict['action'] = 'keep'): boolean {
    const { record } = held('1', { since: 5, retiredBy: 'earlier', ...facts });
    const judged = candidate(volume('1')).volume;
    const verdict: Verdict = action === 'keep' ? { action, volume: judged, reason } : { action, volume: judged };
    const rescues = planRescues([verdict], new Map([['1', record]]), { inUse: inUseNow, runId: 'this' });
    if (rescues.length > 0) expect(rescues).to.deep.equal([{ record, need: reason }]);
    return rescues.length > 0;
  }

  it('takes back what something has begun to need since it was taken out of use', () => {
    expect(rescued({ neededAt: 4 })).to.equal(true);
    const { record } = held('1', { since: 5 });
    const verdict: Verdict = { action: 'keep', volume: candidate(volume('1')).volume, reason };
    const dry = planRescues([verdict], new Map([['1', record]]), { inUse, runId: undefined });
    expect(dry).to.deep.equal([{ record, need: reason }]);
  });

  for (const [what, facts] of [
    ['was in use when it was taken out of use', { neededAt: 6 }],
    ['was in use at that very moment, as far as clocks can tell', { neededAt: 5 }],
    ['was taken out of use by this very run', { retiredBy: 'this' }],
    ['was never complete', { status: 'killed' }],
    ['is of unknown content', { broughtBy: 'unknown' }],
    ['is in use and active', { status: 'active' }],
  ] as const) {
    it(`leaves alone what ${what}`, () => expect(rescued(facts)).to.equal(false));
  }

  it('leaves alone what only another image needs, what is about to be deleted, and what has no record', () => {
    expect(rescued({}, new Set())).to.equal(false);
    expect(rescued({}, inUse, 'delete')).to.equal(false);
    const verdict: Verdict = { action: 'keep', volume: candidate(volume('1')).volume, reason };
    expect(planRescues([verdict], new Map(), { inUse, runId: undefined })).to.deep.equal([]);
  });
});
