import { expect } from 'chai';
import * as fc from 'fast-check';
import { readFileSync, writeFileSync } from 'node:fs';
import { IMAGE_STATUSES, type ImageStatus } from '../../../src/core/lifecycle.ts';
import {
  type RetentionMoment,
  type RetentionPolicy,
  type RetentionSettings,
  type RetentionVerdict,
  selectCandidates,
  type StockedImage,
} from '../../../src/core/retention.ts';

const GOLDEN = new URL('../../../../testdata/retention/verdicts.txt', import.meta.url);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** 2024-12-31; version 12 of each product came on 1 December, version 1 on 1 January. */
const NOW = Date.UTC(2024, 11, 31);
const SOURCES = { noble: 'https://a/', jammy: 'https://a/', focal: 'https://b/' } as const;
const PRODUCTS = Object.keys(SOURCES) as readonly (keyof typeof SOURCES)[];
const MIB = 2n ** 20n;

const POLICY: RetentionPolicy = { keepVersions: 1, unusedForMs: undefined, maxSizeBytes: undefined, gone: 'keep' };
const MOMENT: RetentionMoment = { now: NOW, graceMs: 2 * HOUR, minAgeMs: 2 * HOUR };

function image(product: keyof typeof SOURCES, month: number): StockedImage {
  const version = `2024${String(month).padStart(2, '0')}01`;
  const at = Date.UTC(2024, month - 1, 1);
  return {
    volumeName: `${product}-${version}`,
    identity: { product, version },
    source: SOURCES[product],
    status: 'active',
    sizeBytes: 100n * MIB,
    isOffered: month === 12,
    isInUse: false,
    isLocked: false,
    isOwn: false,
    isUnclaimed: false,
    keptAs: undefined,
    isGone: false,
    lastNeededAt: at,
    statusSince: at,
    modifiedAtMs: at,
  };
}

type Change = (image: StockedImage, month: number) => Partial<StockedImage>;

/** Three products of twelve versions, all of them held. */
function stock(change: Change = () => ({})): readonly StockedImage[] {
  const months = Array.from({ length: 12 }, (_, index) => index + 1);
  return PRODUCTS.flatMap((product) =>
    months.map((month) => {
      const plain = image(product, month);
      return { ...plain, ...change(plain, month) };
    }),
  );
}

interface Case {
  readonly what: string;
  readonly policy?: Partial<RetentionPolicy>;
  readonly sources?: Readonly<Record<string, Partial<RetentionPolicy>>>;
  readonly moment?: Partial<RetentionMoment>;
  readonly stock?: Change;
}

const isOf =
  (name: string, change: Partial<StockedImage>): Change =>
  ({ identity }) =>
    identity.product === name ? change : {};
const only =
  (months: readonly number[], change: Partial<StockedImage>): Change =>
  (_, month) =>
    months.includes(month) ? change : {};

const CASES: readonly Case[] = [
  { what: 'the default' },
  ...[2, 3, 6, 11, 12, 100].map((keepVersions) => ({
    what: `keep-versions ${keepVersions}`,
    policy: { keepVersions },
  })),
  { what: 'no grace', moment: { graceMs: 0 } },
  { what: 'a grace of a week', moment: { graceMs: 7 * DAY } },
  { what: 'no grace, min-age 60d', moment: { graceMs: 0, minAgeMs: 60 * DAY } },
  { what: 'no grace, no min-age', moment: { graceMs: 0, minAgeMs: 0 } },
  ...[30, 90, 365].map((days) => ({
    what: `keep-versions 6, unused-for ${days}d`,
    policy: { keepVersions: 6, unusedForMs: days * DAY },
  })),
  {
    what: 'keep-versions 12, unused-for 90d, even months in use',
    policy: { keepVersions: 12, unusedForMs: 90 * DAY },
    stock: only([2, 4, 6, 8, 10], { isInUse: true }),
  },
  ...[3600, 3599, 2000, 1000, 300, 1].map((mib) => ({
    what: `keep-versions 12, max-size ${mib} MiB`,
    policy: { keepVersions: 12, maxSizeBytes: BigInt(mib) * MIB },
  })),
  {
    what: 'max-size 2000 MiB, the older half in use',
    policy: { keepVersions: 12, maxSizeBytes: 2000n * MIB },
    stock: only([1, 2, 3, 4, 5, 6], { isInUse: true }),
  },
  {
    what: 'max-size 3000 MiB, the older half waits already',
    policy: { keepVersions: 12, maxSizeBytes: 3000n * MIB },
    stock: only([1, 2, 3, 4, 5, 6], { status: 'pending_delete' }),
  },
  {
    what: 'max-size 2000 MiB, all used at the same time',
    policy: { keepVersions: 12, maxSizeBytes: 2000n * MIB },
    stock: () => ({ lastNeededAt: 0 }),
  },
  {
    what: 'keep-versions 2, unused-for 90d, max-size 1000 MiB',
    policy: { keepVersions: 2, unusedForMs: 90 * DAY, maxSizeBytes: 1000n * MIB },
  },
  { what: 'focal is gone, keep', stock: isOf('focal', { isGone: true }) },
  {
    what: 'focal is gone, drop-when-unused',
    policy: { gone: 'drop-when-unused' },
    stock: isOf('focal', { isGone: true }),
  },
  {
    what: 'focal is gone and its newest in use, drop-when-unused',
    policy: { gone: 'drop-when-unused' },
    stock: (each, month) => (each.identity.product === 'focal' ? { isGone: true, isInUse: month === 12 } : {}),
  },
  { what: 'source b keeps 3', sources: { 'https://b/': { keepVersions: 3 } } },
  {
    what: 'source b has a limit of 500 MiB',
    policy: { keepVersions: 12 },
    sources: { 'https://b/': { maxSizeBytes: 500n * MIB } },
  },
  {
    what: 'focal is gone, and only source b drops',
    sources: { 'https://b/': { gone: 'drop-when-unused' } },
    stock: (each) => ({ isGone: each.identity.product !== 'noble' }),
  },
  { what: 'some are locked', stock: only([3, 4], { isLocked: true }) },
  {
    what: 'keep-versions 2, what is replaced is in use',
    policy: { keepVersions: 2 },
    stock: only([3, 4, 12], { isInUse: true }),
  },
  { what: 'the source went back to month 8', stock: (_, month) => ({ isOffered: month === 8, isInUse: month === 10 }) },
  { what: 'some are persistent', stock: only([3, 4], { keptAs: 'persistent' }) },
  { what: 'some are snapshots', stock: only([3, 4], { keptAs: 'snapshot' }) },
  { what: 'some are in use', stock: only([3, 4], { isInUse: true }) },
  { what: 'one of unknown source', stock: only([5], { source: undefined }) },
  {
    what: 'the clock was set back by a year',
    policy: { keepVersions: 6, unusedForMs: 30 * DAY },
    moment: { now: NOW - 365 * DAY },
  },
  {
    what: 'nothing is offered, keep-versions 2',
    policy: { keepVersions: 2 },
    stock: () => ({ isOffered: false }),
  },
  {
    what: 'every status there is',
    policy: { keepVersions: 2 },
    stock: (_, month) => ({ status: [...IMAGE_STATUSES, undefined][month - 1] ?? 'active' }),
  },
  {
    what: 'withdrawn an hour ago',
    stock: only([11], { status: 'pending_delete', statusSince: NOW - HOUR, lastNeededAt: NOW - DAY }),
  },
  {
    what: 'withdrawn long ago, needed half an hour ago',
    stock: only([11], { status: 'pending_delete', lastNeededAt: NOW - HOUR / 2 }),
  },
];

function judge({ policy, sources = {}, moment, stock: change }: Case): readonly RetentionVerdict[] {
  const settings: RetentionSettings = { policy: { ...POLICY, ...policy }, sources: new Map(Object.entries(sources)) };
  return selectCandidates(stock(change), settings, { ...MOMENT, ...moment });
}

function textOf(each: Case): string {
  const lines = judge(each).map(({ image: { volumeName }, action, reason, eligibleAt }) => {
    const time = eligibleAt === undefined ? '' : ` (eligible ${new Date(eligibleAt).toISOString()})`;
    return `  ${volumeName}  ${action === 'retain' ? 'keep' : 'MAY GO'}: ${reason}${time}\n`;
  });
  return `${each.what}\n${lines.join('')}`;
}

describe('selectCandidates', () => {
  it(`judges 3 products of 12 versions under ${CASES.length} policies as the golden file says`, () => {
    const text = CASES.map(textOf).join('\n');
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(GOLDEN, text);
    expect(CASES.length).to.be.at.least(30);
    expect(text).to.equal(readFileSync(GOLDEN, 'utf8'));
  });

  for (const each of CASES) {
    it(`gives every image one verdict, and loses none: ${each.what}`, () => {
      const verdicts = judge(each);
      expect(verdicts.map(({ image: { volumeName } }) => volumeName)).to.deep.equal(
        stock(each.stock).map(({ volumeName }) => volumeName),
      );
      const kept = verdicts.filter(({ action }) => action === 'retain');
      const candidates = verdicts.filter(({ action }) => action === 'candidate');
      expect(kept.length + candidates.length).to.equal(36);
      expect(verdicts.every(({ reason }) => reason.length > 0)).to.equal(true);
    });
  }

  const arbitraryStock = fc
    .array(
      fc.record({
        status: fc.constantFrom<ImageStatus | undefined>(...IMAGE_STATUSES, undefined),
        isOffered: fc.boolean(),
        isInUse: fc.boolean(),
        isLocked: fc.boolean(),
        isGone: fc.boolean(),
        lastNeededAt: fc.integer({ min: 0, max: 2 * NOW }),
      }),
      { minLength: 36, maxLength: 36 },
    )
    .map((changes) => stock().map((plain, index) => ({ ...plain, ...changes[index] })));
  const arbitraryPolicy = fc.record({
    keepVersions: fc.integer({ min: 1, max: 15 }),
    unusedForMs: fc.option(fc.integer({ min: 1, max: 400 * DAY }), { nil: undefined }),
    maxSizeBytes: fc.option(fc.bigInt(1n, 5000n * MIB), { nil: undefined }),
    gone: fc.constantFrom('keep' as const, 'drop-when-unused' as const),
  });

  it('never selects what is offered by its source, nor what is locked and complete', () => {
    fc.assert(
      fc.property(arbitraryStock, arbitraryPolicy, (images, policy) => {
        const candidates = selectCandidates(images, { policy, sources: new Map() }, MOMENT).filter(
          ({ action }) => action === 'candidate',
        );
        expect(candidates.filter(({ image: { isOffered, isGone } }) => isOffered && !isGone)).to.deep.equal([]);
        expect(
          candidates.filter(
            ({ image: { isLocked, isOffered, status } }) => isLocked && (isOffered || status === 'active'),
          ),
        ).to.deep.equal([]);
      }),
    );
  });

  it('selects no more when the clock is set back', () => {
    fc.assert(
      fc.property(arbitraryStock, arbitraryPolicy, fc.integer({ min: 0, max: NOW }), (images, policy, now) => {
        const settings = { policy, sources: new Map() };
        const atTime = (moment: RetentionMoment) =>
          selectCandidates(images, settings, moment)
            .filter(({ action, reason }) => action === 'candidate' && reason === 'unused')
            .map(({ image: { volumeName } }) => volumeName);
        expect(atTime(MOMENT)).to.include.members(atTime({ ...MOMENT, now }));
      }),
    );
  });
});
