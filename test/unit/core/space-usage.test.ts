import { expect } from 'chai';
import * as fc from 'fast-check';
import { bytesOf, measureUsage, type MeasuredImage, type SpaceUsage } from '../../../src/core/space-usage.ts';
import { planSweep } from '../../../src/core/sweep-plan.ts';
import { createResolver, type GraphNode, type GraphRoot, mark, type UseGraph } from '../../../src/core/use-graph.ts';
import { blindSpot, candidate, domain, edge, volume } from './graph.ts';

function image(node: GraphNode, held?: 'offered'): MeasuredImage {
  return {
    node,
    identity: { product: node.id, version: '1' },
    volumeName: node.id,
    allocationBytes: BigInt(2 ** node.id.length),
    held,
  };
}

const names = (images: readonly MeasuredImage[]): string => images.map(({ volumeName }) => volumeName).join(' ');

/** Each image with its kind and users, each user with what it needs, keeps alone, and would free. */
function texts({ images, users }: SpaceUsage): readonly string[] {
  return [
    ...images.map((usage) => [usage.image.volumeName, usage.kind, ...usage.users].join(' ')),
    ...users.map(
      (usage) => `${usage.user}: ${names(usage.images)} | ${names(usage.exclusive)} | ${names(usage.freed)}`,
    ),
  ];
}

function measure(nodes: readonly GraphNode[], roots: readonly GraphRoot[]): UseGraph {
  return { nodes, roots, blindSpots: [] };
}

describe('measureUsage', () => {
  const base = volume('base');

  it('counts the bytes of a chain where they are, each once', () => {
    const nodes = [volume('top', ['mid']), volume('mid', ['base']), base];
    const graph = measure(nodes, [domain('domain web1', 'top'), domain('domain web2', 'mid')]);
    expect(
      texts(
        measureUsage(
          graph,
          nodes.map((node) => image(node)),
        ),
      ),
    ).to.deep.equal([
      'top exclusive domain web1',
      'mid shared domain web1 domain web2',
      'base shared domain web1 domain web2',
      'domain web1: top mid base | top | top',
      'domain web2: mid base |  | ',
    ]);
  });

  it('takes what a domain reaches through files that are not managed for the needs of the domain', () => {
    const disk = volume('disk', ['base']);
    const graph = measure([disk, base], [domain('domain web1', 'disk')]);
    expect(texts(measureUsage(graph, [image(base)]))).to.deep.equal([
      'base exclusive domain web1',
      'domain web1: base | base | base',
    ]);
  });

  it('takes a disk that no domain has any more for a user, the outermost of a chain only', () => {
    const nodes = [volume('inner', ['base']), volume('outer', ['inner']), base];
    expect(texts(measureUsage(measure(nodes, []), [image(base)]))).to.deep.equal([
      'base exclusive volume outer',
      'volume outer: base | base | base',
    ]);
  });

  it('takes one of a ring of disks for a user, so that what they stand on is never taken for unused', () => {
    const nodes = [volume('one', ['two', 'base']), volume('two', ['one']), base];
    expect(texts(measureUsage(measure(nodes, []), [image(base)]))[0]).to.equal('base exclusive volume one');
  });

  it('never offers what is held, nor what it stands on, for reclaiming', () => {
    const nodes = [volume('top', ['base']), base, volume('other')];
    const images = nodes.map((node) => image(node, node.id === 'top' ? 'offered' : undefined));
    expect(texts(measureUsage(measure(nodes, []), images))).to.deep.equal([
      'top held',
      'base exclusive volume top',
      'other reclaimable',
    ]);
    expect(texts(measureUsage(measure(nodes, [domain('domain web1', 'top')]), images)).slice(0, 2)).to.deep.equal([
      'top exclusive domain web1',
      'base shared domain web1 volume top',
    ]);
  });

  it('frees nothing that stays for its own sake, even if only one domain needs it', () => {
    const graph = measure([base], [domain('domain web1', 'base')]);
    expect(texts(measureUsage(graph, [image(base, 'offered')]))).to.deep.equal([
      'base exclusive domain web1',
      'domain web1: base | base | ',
    ]);
  });

  it('calls what something unseen may need neither used nor reclaimable', () => {
    const spots = [blindSpot([edge('/pool/base').reference]), blindSpot('everything', { holder: 'other' })];
    const graph = { nodes: [base, volume('other')], roots: [], blindSpots: spots };
    expect(
      texts(
        measureUsage(
          graph,
          graph.nodes.map((node) => image(node)),
        ),
      ),
    ).to.deep.equal(['base unseen', 'other reclaimable']);
  });

  it('counts a process that holds an image open only where nobody else needs it', () => {
    const nodes = [base, volume('other')];
    const qemu = { ...domain('process 5', 'base', 'other'), kind: 'holder' } as const;
    const graph = measure(nodes, [qemu, domain('domain web1', 'base')]);
    const images = nodes.map((node) => image(node));
    expect(texts(measureUsage(graph, images))).to.deep.equal([
      'base exclusive domain web1',
      'other exclusive process 5',
      'process 5: other | other | other',
      'domain web1: base | base | base',
    ]);
  });

  it('counts several roots of one name as one user', () => {
    const graph = measure([base], [domain('process 5', 'base'), domain('process 5', 'base')]);
    expect(texts(measureUsage(graph, [image(base)]))[0]).to.equal('base exclusive process 5');
  });

  const IDS = ['a', 'b', 'cc', 'dd', 'eee', 'fff', 'gggg', 'hhhh'] as const;
  const world = fc
    .record({
      links: fc.array(fc.tuple(fc.constantFrom(...IDS), fc.constantFrom(...IDS)), { maxLength: 10 }),
      managed: fc.subarray<string>([...IDS]),
      held: fc.subarray<string>([...IDS]),
      disks: fc.array(fc.subarray<string>([...IDS], { maxLength: 3 }), { maxLength: 4 }),
    })
    .map(({ links, managed, held, disks }) => {
      const nodes = IDS.map((id) =>
        volume(
          id,
          links.flatMap(([from, to]) => (from === id ? [to] : [])),
        ),
      );
      const roots = disks.map((each, index) => domain(`domain ${index}`, ...each));
      const images = nodes
        .filter(({ id }) => managed.includes(id))
        .map((node) => image(node, held.includes(node.id) ? 'offered' : undefined));
      return { graph: { nodes, roots, blindSpots: [] } satisfies UseGraph, images };
    });

  /** What the sweep would delete of the images that nothing holds, and without some nodes. */
  function swept({ nodes, roots }: UseGraph, images: readonly MeasuredImage[]): readonly string[] {
    const candidates = images.filter(({ held }) => held === undefined).map(({ node }) => candidate(node));
    const verdicts = planSweep(candidates, { nodes, roots, blindSpots: [] }, { now: 1, graceMs: 0, minAgeMs: 0 });
    return verdicts.flatMap(({ action, volume: { name } }) => (action === 'delete' ? [name] : [])).toSorted();
  }

  it('parts the bytes of the pool, and those of domains among them', () => {
    fc.assert(
      fc.property(world, ({ graph, images }) => {
        const usage = measureUsage(graph, images);
        expect(usage.images.map((each) => each.image)).to.deep.equal(images);
        const exclusive = usage.users.flatMap((user) => user.exclusive);
        expect(new Set(exclusive).size).to.equal(exclusive.length);
        expect(bytesOf(exclusive) <= bytesOf(images)).to.equal(true);
        for (const user of usage.users) {
          expect(user.images).to.include.members([...user.exclusive]);
          expect(user.exclusive).to.include.members([...user.freed]);
          expect(user.freed.filter(({ held }) => held !== undefined)).to.deep.equal([]);
        }
        expect(
          usage.images.filter(({ kind, image: { held } }) => kind === 'reclaimable' && held !== undefined),
        ).to.deep.equal([]);
      }),
    );
  });

  it('calls exactly that reclaimable which the sweep would delete', () => {
    fc.assert(
      fc.property(world, ({ graph, images }) => {
        const { images: measured } = measureUsage(graph, images);
        const reclaimable = measured.flatMap(({ kind, image: { volumeName } }) =>
          kind === 'reclaimable' ? [volumeName] : [],
        );
        expect(reclaimable.toSorted()).to.deep.equal(swept(graph, images));
      }),
    );
  });

  it('frees without a domain exactly what the sweep would delete once it and its own disks are gone', () => {
    fc.assert(
      fc.property(world, ({ graph, images }) => {
        const usage = measureUsage(graph, images);
        const held = images.filter((each) => each.held !== undefined).map(({ node }) => node);
        const managed = new Set(images.map(({ node }) => node.id));
        for (const root of graph.roots) {
          const own = ownFiles(graph, root, held, ({ id }) => !managed.has(id));
          const left = {
            roots: graph.roots.filter((each) => each !== root),
            nodes: graph.nodes.filter((node) => !own.has(node)),
            blindSpots: [],
          };
          const freed = usage.users.find(({ user }) => user === root.label)?.freed ?? [];
          const before = swept(graph, images);
          const after = swept(left, images);
          expect(after.filter((name) => !before.includes(name))).to.deep.equal(
            freed.map(({ volumeName }) => volumeName).toSorted(),
          );
        }
      }),
    );
  });

  /** The files that are no images which a root needs, and nothing but this root, not even an image that stays. */
  function ownFiles(
    { nodes, roots }: UseGraph,
    root: GraphRoot,
    held: readonly GraphNode[],
    isForeign: (node: GraphNode) => boolean,
  ) {
    const marked = (from: readonly GraphRoot[], kept: readonly GraphNode[]) =>
      mark(
        { nodes, roots: from, blindSpots: [] },
        createResolver(nodes),
        new Map(kept.map(({ id, label }) => [id, label])),
      );
    const all = marked(roots, []);
    const strays = nodes.filter((node) => isForeign(node) && !all.has(node.id));
    const others = marked(
      roots.filter((each) => each !== root),
      [...strays, ...held],
    );
    return new Set(nodes.filter((node) => isForeign(node) && all.has(node.id) && !others.has(node.id)));
  }
});
