import { expect } from 'chai';
import * as fc from 'fast-check';
import type { BlindSpot } from '../../../src/core/reference.ts';
import { planSweep, type SweepCandidate, type SweepPolicy, type Verdict } from '../../../src/core/sweep-plan.ts';
import { createResolver, type GraphNode, type GraphRoot, mark } from '../../../src/core/use-graph.ts';
import { blindSpot, candidate, domain, edge, volume } from './graph.ts';

const HOUR = 3_600_000;
const NOW = 100 * HOUR;
const AT_ONCE: SweepPolicy = { now: NOW, graceMs: 0, minAgeMs: 0 };
const PATIENT: SweepPolicy = { now: NOW, graceMs: 2 * HOUR, minAgeMs: HOUR };

interface Situation {
  readonly nodes: readonly GraphNode[];
  readonly candidates: readonly SweepCandidate[];
  readonly roots?: readonly GraphRoot[];
  readonly blindSpots?: readonly BlindSpot[];
  readonly policy?: SweepPolicy;
  readonly causes?: Readonly<Record<string, string>>;
}

function verdicts(situation: Situation): readonly Verdict[] {
  const { nodes, candidates, roots = [], blindSpots = [], policy = AT_ONCE, causes = {} } = situation;
  return planSweep(candidates, { nodes, roots, blindSpots }, policy, new Map(Object.entries(causes)));
}

/** Verdicts in short: `delete a`, `keep a: needed by web1`, `keep a: grace until 101`. */
function judged(situation: Situation): readonly string[] {
  return verdicts(situation).map((verdict) => {
    const { name } = verdict.volume;
    if (verdict.action === 'delete') return `delete ${name}`;
    const { reason } = verdict;
    if (reason.kind === 'needed') return `keep ${name}: needed by ${reason.need.cause}`;
    if (reason.kind === 'unseen') return `keep ${name}: unseen ${reason.blindSpots.map(({ what }) => what).join(', ')}`;
    if (reason.kind === 'volume type') return `keep ${name}: volume type`;
    return `keep ${name}: ${reason.kind} until ${reason.eligibleAt / HOUR}`;
  });
}

function alone(more: Partial<SweepCandidate['volume']> = {}, lastNeededAt = 0): Situation {
  const node = volume('a');
  return { nodes: [node], candidates: [candidate(node, more, lastNeededAt)] };
}

describe('planSweep', () => {
  it('waits for no time that lies so far ahead that a clock was wrong', () => {
    const inYears = NOW + 10_000 * HOUR;
    expect(judged({ ...alone({ modifiedAtMs: inYears }), policy: PATIENT })).to.deep.equal(['delete a']);
    expect(judged({ ...alone({ modifiedAtMs: NOW + 20 * HOUR }), policy: PATIENT })).to.deep.equal([
      `keep a: young until ${(NOW + 21 * HOUR) / HOUR}`,
    ]);
    expect(judged({ ...alone({ modifiedAtMs: inYears }, NOW), policy: PATIENT })).to.deep.equal([
      'keep a: grace until 102',
    ]);
  });

  it('deletes what nothing speaks for', () => {
    expect(judged(alone())).to.deep.equal(['delete a']);
    expect(judged({ ...alone(), policy: PATIENT })).to.deep.equal(['delete a']);
  });

  it('keeps what a domain needs, directly or through a chain', () => {
    const nodes = [volume('base'), volume('top', ['base'])];
    const candidates = nodes.map((node) => candidate(node));
    expect(judged({ nodes, candidates, roots: [domain('web1', 'top')] })).to.deep.equal([
      'keep base: needed by web1',
      'keep top: needed by web1',
    ]);
  });

  it('asks the kernel who has images open only when something would be deleted [C2]', () => {
    const nodes = [volume('base'), volume('top', ['base'])];
    const candidates = nodes.map((node) => candidate(node));
    let asked = 0;
    const holders = (): readonly GraphRoot[] => {
      asked += 1;
      return [{ ...domain('process 7', 'top'), kind: 'holder' }];
    };
    const actions = (roots: readonly GraphRoot[], policy = AT_ONCE) =>
      planSweep(candidates, { nodes, roots, blindSpots: [], holders }, policy).map(({ action }) => action);
    expect(actions([domain('web1', 'top')])).to.deep.equal(['keep', 'keep']);
    expect(actions([], { ...AT_ONCE, graceMs: 200 * HOUR })).to.deep.equal(['keep', 'keep']);
    expect(asked).to.equal(0);
    expect(actions([])).to.deep.equal(['keep', 'keep']);
    expect(asked).to.equal(1);
    const nobody = planSweep(candidates, { nodes, roots: [], blindSpots: [], holders: () => [] }, AT_ONCE);
    expect(nobody.map(({ action }) => action)).to.deep.equal(['delete', 'delete']);
  });

  it('keeps what a volume outside the candidates stands on, and says why that one stays', () => {
    const [base, foreign] = [volume('base'), volume('foreign', ['base'])];
    const situation = { nodes: [base, foreign], candidates: [candidate(base)] };
    expect(judged(situation)).to.deep.equal(['keep base: needed by volume foreign']);
    expect(judged({ ...situation, causes: { foreign: 'volume foreign is not managed' } })).to.deep.equal([
      'keep base: needed by volume foreign is not managed',
    ]);
  });

  it('keeps the base of a candidate that stays for a reason of time', () => {
    const [base, top] = [volume('base'), volume('top', ['base'])];
    const candidates = [candidate(base), candidate(top, {}, NOW - HOUR)];
    expect(judged({ nodes: [base, top], candidates, policy: PATIENT })).to.deep.equal([
      'keep base: needed by volume top',
      'keep top: grace until 101',
    ]);
  });

  it('deletes overlays before what they stand on', () => {
    const nodes = [volume('base'), volume('top', ['middle']), volume('middle', ['base'])];
    expect(judged({ nodes, candidates: nodes.map((node) => candidate(node)) })).to.deep.equal([
      'delete top',
      'delete middle',
      'delete base',
    ]);
  });

  describe('grace', () => {
    for (const [what, lastNeededAt, verdict] of [
      ['keeps what was needed within it', NOW - HOUR, 'keep a: grace until 101'],
      ['ends on the millisecond', NOW - 2 * HOUR, 'delete a'],
      ['has not ended a millisecond earlier', NOW - 2 * HOUR + 1, `keep a: grace until ${100 + 1 / HOUR}`],
      ['keeps what was needed in the future: the clock was set back', NOW + 50 * HOUR, 'keep a: grace until 152'],
    ] as const) {
      it(what, () => expect(judged({ ...alone({}, lastNeededAt), policy: PATIENT })).to.deep.equal([verdict]));
    }

    it('of zero is over at once, whatever the clocks say', () => {
      expect(judged(alone({}, NOW))).to.deep.equal(['delete a']);
      expect(judged(alone({}, NOW + HOUR))).to.deep.equal(['delete a']);
    });
  });

  describe('minimum age', () => {
    for (const [what, modifiedAtMs, verdict] of [
      ['keeps what changed within it', NOW - HOUR / 2, 'keep a: young until 100.5'],
      ['ends on the millisecond', NOW - HOUR, 'delete a'],
      ['keeps what changed in the future: the clock was set back', NOW + 10 * HOUR, 'keep a: young until 111'],
    ] as const) {
      it(what, () => expect(judged({ ...alone({ modifiedAtMs }), policy: PATIENT })).to.deep.equal([verdict]));
    }

    it('counts from the last need where libvirt tells no time', () => {
      const policy = { ...AT_ONCE, minAgeMs: HOUR };
      const situation = alone({ modifiedAtMs: undefined }, NOW - HOUR / 2);
      expect(judged({ ...situation, policy })).to.deep.equal(['keep a: young until 100.5']);
    });

    it('of zero is over at once, even when the clock of the file system is ahead', () => {
      expect(judged(alone({ modifiedAtMs: NOW + HOUR }))).to.deep.equal(['delete a']);
    });
  });

  for (const [type, verdict] of [
    ['file', 'delete a'],
    ['block', 'delete a'],
    ['dir', 'keep a: volume type'],
    ['network', 'keep a: volume type'],
    ['netdir', 'keep a: volume type'],
    ['ploop', 'keep a: volume type'],
    ['unknown', 'keep a: volume type'],
  ] as const) {
    it(`says '${verdict}' of a volume of type ${type}`, () => expect(judged(alone({ type }))).to.deep.equal([verdict]));
  }

  it('keeps what a blind spot concerns, and names the blind spot', () => {
    expect(judged({ ...alone(), blindSpots: [blindSpot()] })).to.deep.equal(['keep a: unseen domain web1']);
    const other = blindSpot([{ kind: 'path', value: '/pool/b', evidence: '' }], { what: 'elsewhere' });
    expect(judged({ ...alone(), blindSpots: [other] })).to.deep.equal(['delete a']);
    expect(judged({ ...alone(), blindSpots: [other, blindSpot()] })).to.deep.equal(['keep a: unseen domain web1']);
  });

  it('deletes a damaged image whose own header is all that cannot be seen', () => {
    expect(judged({ ...alone(), blindSpots: [blindSpot('everything', { holder: 'a' })] })).to.deep.equal(['delete a']);
  });

  it('names the first reason in the order of the deletion rule', () => {
    const all = {
      ...alone({ modifiedAtMs: NOW, type: 'dir' }, NOW),
      policy: PATIENT,
      blindSpots: [blindSpot()],
    };
    expect(judged({ ...all, roots: [domain('web1', 'a')] })).to.deep.equal(['keep a: needed by web1']);
    expect(judged(all)).to.deep.equal(['keep a: grace until 102']);
    expect(judged({ ...all, policy: { ...PATIENT, graceMs: 0 } })).to.deep.equal(['keep a: young until 101']);
    expect(judged({ ...all, policy: AT_ONCE })).to.deep.equal(['keep a: volume type']);
  });
});

/** Any graph of eight images, of which some are candidates. */
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const names = fc.subarray(NAMES);
const anyWorld = fc
  .record({
    bases: fc.array(names, { minLength: NAMES.length, maxLength: NAMES.length }),
    candidates: fc.shuffledSubarray(NAMES),
    disks: fc.array(names, { maxLength: 3 }),
    waiting: names,
    odd: names,
    hidden: fc.array(names, { maxLength: 1 }),
  })
  .map(({ bases, candidates, disks, waiting, odd, hidden }) => {
    const nodes = NAMES.map((name, index) => volume(name, bases[index]));
    const toCandidate = (node: GraphNode): SweepCandidate =>
      candidate(node, { type: odd.includes(node.id) ? 'dir' : 'file' }, waiting.includes(node.id) ? NOW : 0);
    return {
      nodes,
      candidates: candidates.flatMap((name) => nodes.filter(({ id }) => id === name).map(toCandidate)),
      roots: disks.map((list, index) => domain(`domain ${index}`, ...list)),
      blindSpots: hidden.map((list) =>
        blindSpot(list.map((name) => ({ kind: 'path', value: `/pool/${name}`, evidence: '' }) as const)),
      ),
      policy: { ...PATIENT, minAgeMs: 0 },
    };
  });

function deletedOf(world: Situation): readonly string[] {
  return verdicts(world).flatMap(({ action, volume: { name } }) => (action === 'delete' ? [name] : []));
}

describe('planSweep, whatever the graph', () => {
  it('judges every candidate once, and nothing else', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const given = world.candidates.map(({ node }) => node.id).sort();
        const said = verdicts(world).map(({ volume: { name } }) => name);
        expect([...said].sort()).to.deep.equal(given);
      }),
    );
  });

  it('never deletes what a root, a bystander or a candidate that stays can reach', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const deleted = new Set(deletedOf(world));
        const staying = NAMES.filter((name) => !deleted.has(name)).map((name): [string, string] => [name, name]);
        const { nodes, roots } = world;
        const needed = mark({ nodes, roots, blindSpots: [] }, createResolver(nodes), new Map(staying));
        expect([...deleted].filter((name) => needed.has(name))).to.deep.equal([]);
      }),
    );
  });

  it('deletes everything that none of them can reach', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const kept = verdicts(world).flatMap((verdict) => (verdict.action === 'keep' ? [verdict] : []));
        for (const {
          volume: { name },
          reason,
        } of kept) {
          const isOwn = reason.kind !== 'needed';
          const others = new Set(deletedOf(world));
          const around = NAMES.filter((other) => other !== name && !others.has(other));
          const { nodes, roots } = world;
          const causes = new Map(around.map((other): [string, string] => [other, other]));
          const needed = mark({ nodes, roots, blindSpots: [] }, createResolver(nodes), causes);
          expect(isOwn || needed.has(name)).to.equal(true);
        }
      }),
    );
  });

  it('deletes no more when there is one more root, reference or blind spot', () => {
    fc.assert(
      fc.property(anyWorld, fc.constantFrom(...NAMES), fc.constantFrom(...NAMES), (world, from, to) => {
        const before = new Set(deletedOf(world));
        const more: readonly Situation[] = [
          { ...world, roots: [...world.roots, domain('one more', to)] },
          { ...world, blindSpots: [...world.blindSpots, blindSpot()] },
          { ...world, blindSpots: [...world.blindSpots, blindSpot([{ kind: 'text', value: to, evidence: '' }])] },
          withEdge(world, from, to),
        ];
        for (const situation of more) {
          expect(deletedOf(situation).filter((name) => !before.has(name))).to.deep.equal([]);
        }
      }),
    );
  });

  it('deletes overlays before their bases where there is no cycle', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const nodes = world.nodes.map((node) => ({
          ...node,
          edges: node.edges.filter(({ reference }) => reference.value > `/pool/${node.id}`),
        }));
        const byId = new Map(nodes.map((node) => [node.id, node]));
        const candidates = world.candidates.map((one) => ({ ...one, node: byId.get(one.node.id) ?? one.node }));
        const place = new Map(deletedOf({ ...world, nodes, candidates }).map((name, index) => [name, index]));
        for (const { id, edges } of nodes) {
          for (const { reference } of edges) {
            const [overlay, base] = [place.get(id), place.get(reference.value.slice('/pool/'.length))];
            if (overlay !== undefined && base !== undefined) expect(overlay).to.be.lessThan(base);
          }
        }
      }),
    );
  });
});

function withEdge(world: Situation, from: string, to: string): Situation {
  const extended = (node: GraphNode): GraphNode =>
    node.id === from ? { ...node, edges: [...node.edges, edge(`/pool/${to}`)] } : node;
  return {
    ...world,
    nodes: world.nodes.map(extended),
    candidates: world.candidates.map((one) => ({ ...one, node: extended(one.node) })),
  };
}
