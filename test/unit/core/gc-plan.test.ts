import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  assertApplicable,
  changedPremises,
  type FreshLook,
  type GcPlan,
  planSteps,
  type PlanStep,
  premiseTexts,
  reducePlan,
} from '../../../src/core/gc-plan.ts';
import type { RetentionVerdict } from '../../../src/core/retention.ts';
import type { PoolVolume, Verdict } from '../../../src/core/sweep-plan.ts';
import { UsageError } from '../../../src/errors.ts';
import { blindSpot, candidate, domain, volume as node } from './graph.ts';

const NAMES = ['a', 'b', 'c', 'd'] as const;
const MOMENT = { now: 1_000_000, maxAgeMs: 1000 };

function volume(name: string, change: Partial<PoolVolume> = {}): PoolVolume {
  return candidate(node(name), change).volume;
}

function verdict(name: string, action: 'retain' | 'candidate'): RetentionVerdict {
  const image = {
    volumeName: name,
    identity: { product: name, version: '1' },
    source: undefined,
    status: 'active',
    sizeBytes: 1n,
    isOffered: false,
    isInUse: false,
    isLocked: false,
    isOwn: false,
    isUnclaimed: false,
    keptAs: undefined,
    isGone: false,
    lastNeededAt: 0,
    statusSince: 0,
    modifiedAtMs: 0,
  } as const;
  const eligibleAt = undefined;
  return action === 'retain'
    ? { image, action, reason: 'newest', eligibleAt }
    : { image, action, reason: 'replaced', eligibleAt };
}

const volumesOf = (names: readonly string[], change: Partial<PoolVolume> = {}): ReadonlyMap<string, PoolVolume> =>
  new Map(names.map((name) => [name, volume(name, change)]));

function steps(retire: readonly string[], doomed: readonly string[]): readonly PlanStep[] {
  const retention = NAMES.map((name) => verdict(name, 'candidate'));
  const chosen = retention.filter(({ image }) => retire.includes(image.volumeName));
  const deletions = doomed.map((name): Verdict => ({ action: 'delete', volume: volume(name) }));
  return planSteps(retention, chosen, deletions, volumesOf(NAMES));
}

/** A pool in which a volume can be deleted if it is garbage, or is taken out of use. */
function look(retire: readonly string[], garbage: readonly string[], volumes = volumesOf(NAMES)): FreshLook {
  const retention = NAMES.map((name) => verdict(name, retire.includes(name) ? 'candidate' : 'retain'));
  return {
    volumes,
    retention,
    retired: retention.filter(({ action }) => action === 'candidate'),
    judge: (only, retired) =>
      [...only].flatMap((name): readonly Verdict[] => {
        if (garbage.includes(name)) return [{ action: 'delete', volume: volume(name) }];
        if (!retired.has(name)) return [];
        return [{ action: 'keep', volume: volume(name), reason: { kind: 'grace', eligibleAt: 5 } }];
      }),
    causeOf: (name) => (name === 'd' ? undefined : `image ${name} 1 is offered`),
  };
}

const textOf = ({ action, volume: { name } }: PlanStep): string => `${action} ${name}`;

describe('reducePlan', () => {
  function reduced(plan: readonly PlanStep[], fresh: FreshLook): readonly (readonly [string, unknown])[] {
    return reducePlan(plan, fresh).dropped.map(({ step, reason }) => [textOf(step), reason]);
  }

  it('leaves a plan as it is when nothing changed', () => {
    const plan = steps(['a'], ['b', 'c']);
    const { retired, verdicts, dropped } = reducePlan(plan, look(['a'], ['b', 'c']));
    expect(retired.map(({ image }) => image.volumeName)).to.deep.equal(['a']);
    expect(verdicts).to.deep.equal(['b', 'c'].map((name) => ({ action: 'delete', volume: volume(name) })));
    expect(dropped).to.deep.equal([]);
  });

  it('drops what is gone, what was touched, and what would not be decided now, each with the reason', () => {
    const touched = new Map([...volumesOf(['b'], { modifiedAtMs: 7 }), ...volumesOf(['c', 'd'])]);
    expect(reduced(steps(['c', 'd'], ['a', 'b', 'c', 'd']), look(['d'], [], touched))).to.deep.equal([
      ['retire c', { kind: 'retention', verdict: verdict('c', 'retain') }],
      ['delete a', { kind: 'gone' }],
      ['delete b', { kind: 'changed' }],
      ['delete c', { kind: 'retention', verdict: verdict('c', 'retain') }],
      ['delete d', { kind: 'sweep', reason: { kind: 'grace', eligibleAt: 5 } }],
    ]);
    const taken = look(['c', 'd'], []);
    expect(reduced(steps([], ['c', 'd']), taken)).to.deep.equal([
      ['delete c', { kind: 'cause', cause: 'image c 1 is offered' }],
      ['delete d', { kind: 'cause', cause: 'image d 1 is not to be judged' }],
    ]);
  });

  for (const change of [{ key: 'x' }, { capacityBytes: 9n }, { lengthBytes: 9n }, { modifiedAtMs: undefined }]) {
    it(`takes a volume for another one when its ${Object.keys(change).join()} differs`, () => {
      expect(reduced(steps(['a'], []), look(['a'], [], volumesOf(NAMES, change)))).to.deep.equal([
        ['retire a', { kind: 'changed' }],
      ]);
    });
  }

  it('never adds a step, and loses none', () => {
    const some = fc.subarray<string>([...NAMES]);
    fc.assert(
      fc.property(some, some, some, some, some, (toRetire, toDelete, retire, garbage, present) => {
        const plan = steps(toRetire, toDelete);
        const { retired, verdicts, dropped } = reducePlan(plan, look(retire, garbage, volumesOf(present)));
        const kept = [
          ...retired.map(({ image }) => `retire ${image.volumeName}`),
          ...verdicts.flatMap(({ action, volume: { name } }) => (action === 'delete' ? [`delete ${name}`] : [])),
        ];
        expect([...kept, ...dropped.map(({ step }) => textOf(step))].toSorted()).to.deep.equal(
          plan.map(textOf).toSorted(),
        );
        expect(retired.every(({ image }) => retire.includes(image.volumeName))).to.equal(true);
      }),
    );
  });
});

describe('premiseTexts', () => {
  const nodes = [node('top', ['mid']), node('mid', ['base']), node('base')];
  const roots = [domain('domain web1', 'top', 'other'), domain('domain web2', 'base')];
  const graph = { nodes, roots, blindSpots: [blindSpot(), blindSpot('everything', { what: 'pool b' })] };
  const volumes = ['top', 'mid', 'base'].map((name) => volume(name));
  const sources = [
    { url: 'https://b/', documents: { x: { sha256: '1' }, y: { sha256: '2' } } },
    { url: 'https://a/', documents: {} },
  ];

  it('do not depend on the order in which things were found', () => {
    const turned = {
      nodes: nodes.toReversed().map((each) => ({ ...each, tokens: each.tokens.toReversed() })),
      roots: roots.toReversed().map((each) => ({ ...each, edges: each.edges.toReversed() })),
      blindSpots: graph.blindSpots.toReversed(),
    };
    const documents = { y: { sha256: '2' }, x: { sha256: '1' } };
    expect(
      premiseTexts(volumes.toReversed(), turned, [
        { url: 'https://a/', documents: {} },
        { url: 'https://b/', documents },
      ]),
    ).to.deep.equal(premiseTexts(volumes, graph, sources));
  });

  it('tell what changed', () => {
    const then = premiseTexts(volumes, graph, sources);
    const changed = (now: ReturnType<typeof premiseTexts>) => changedPremises(then, now);
    expect(changed(then)).to.deep.equal([]);
    expect(changed(premiseTexts([volume('top', { modifiedAtMs: 1 })], graph, sources))).to.deep.equal(['inventory']);
    for (const other of [{ roots: [] }, { blindSpots: [] }, { nodes: [...nodes, node('new', ['base'])] }])
      expect(changed(premiseTexts(volumes, { ...graph, ...other }, sources))).to.deep.equal(['useGraph']);
    expect(changed(premiseTexts(volumes, graph, sources.slice(1)))).to.deep.equal(['sources']);
  });
});

describe('assertApplicable', () => {
  const here = { host: 'h', uri: 'qemu:///system', pool: { name: 'uvtool', uuid: 'u' } };
  const plan: GcPlan = {
    ...here,
    program: 'poolkeeper 0.1.0',
    madeAt: MOMENT.now,
    policy: {
      graceMs: 0,
      minAgeMs: 0,
      retention: {
        policy: { keepVersions: 1, unusedForMs: undefined, maxSizeBytes: undefined, gone: 'keep' },
        sources: new Map(),
      },
    },
    premises: { inventory: '', useGraph: '', sources: '' },
    steps: [],
  };

  it('takes a plan for the same pool by another name', () => {
    assertApplicable({ ...plan, pool: { name: 'renamed', uuid: 'u' } }, here, MOMENT);
  });

  for (const [what, change, refused] of [
    ['another pool', { pool: { name: 'uvtool', uuid: 'v' } }, "is for storage pool 'uvtool' (v), not for 'uvtool' (u)"],
    ['another host', { host: 'i' }, "was made on host 'i', and this is 'h'"],
    ['another libvirt', { uri: 'qemu:///session' }, 'for libvirt at qemu:///session, and this is qemu:///system'],
    ['an old day', { madeAt: MOMENT.now - 1001 }, 'was made 1s ago, at most 1s is allowed'],
    ['the future', { madeAt: MOMENT.now + 60_001 }, 'was made in the future'],
  ] as const) {
    it(`refuses a plan of ${what}`, () => {
      expect(() => assertApplicable({ ...plan, ...change }, here, MOMENT))
        .to.throw(UsageError)
        .with.property('message')
        .that.includes(refused);
    });
  }

  it('takes a plan up to the moment when it is too old, and one from a clock that was just set back', () => {
    for (const madeAt of [MOMENT.now - 1000, MOMENT.now + 60_000]) assertApplicable({ ...plan, madeAt }, here, MOMENT);
  });
});
