import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  chainOf,
  concerns,
  createResolver,
  type GraphNode,
  type GraphRoot,
  mark,
  overlaysFirst,
} from '../../../src/core/use-graph.ts';
import { blindSpot, domain, edge, volume } from './graph.ts';

function marked(nodes: readonly GraphNode[], roots: readonly GraphRoot[], kept: Record<string, string> = {}) {
  return mark({ nodes, roots, blindSpots: [] }, createResolver(nodes), new Map(Object.entries(kept)));
}

/** What is needed, and for which cause. */
function causes(...args: Parameters<typeof marked>): unknown {
  return Object.fromEntries([...marked(...args)].map(([id, { cause }]) => [id, cause]));
}

function reach(nodes: readonly GraphNode[], ...edges: Parameters<typeof edge>[]): readonly string[] {
  return Object.keys(causes(nodes, [{ label: 'root', edges: edges.map((args) => edge(...args)) }]) as object).sort();
}

describe('mark', () => {
  it('needs nothing without roots', () => {
    expect(causes([volume('a'), volume('b', ['a'])], [])).to.deep.equal({});
  });

  it('follows a chain to its end, and no further', () => {
    const nodes = [volume('base'), volume('middle', ['base']), volume('top', ['middle']), volume('other', ['base'])];
    expect(causes(nodes, [domain('web1', 'top')])).to.deep.equal({ top: 'web1', middle: 'web1', base: 'web1' });
    expect(causes(nodes, [domain('web1', 'middle')])).to.deep.equal({ middle: 'web1', base: 'web1' });
  });

  it('ends in cycles', () => {
    const nodes = [volume('a', ['b']), volume('b', ['c']), volume('c', ['a', 'c'])];
    expect(causes(nodes, [domain('web1', 'b')])).to.deep.equal({ a: 'web1', b: 'web1', c: 'web1' });
  });

  it('follows a chain of thousands of images', () => {
    const nodes = Array.from({ length: 5000 }, (_, i) => volume(String(i), [String(i + 1)]));
    expect(marked(nodes, [domain('web1', '0')]).size).to.equal(5000);
  });

  it('needs what a kept node stands on', () => {
    const nodes = [volume('base'), volume('foreign', ['base'])];
    expect(causes(nodes, [], { foreign: 'volume foreign is not managed' })).to.deep.equal({
      foreign: 'volume foreign is not managed',
      base: 'volume foreign is not managed',
    });
  });

  it('names a root rather than a kept node where both need something', () => {
    const nodes = [volume('base'), volume('foreign', ['base'])];
    expect(causes(nodes, [domain('web1', 'base')], { foreign: 'kept' })).to.deep.equal({
      base: 'web1',
      foreign: 'kept',
    });
  });

  it('names the root of a chain that leads through a kept node', () => {
    const nodes = [volume('base'), volume('foreign', ['base']), volume('disk', ['foreign'])];
    const kept = { foreign: 'kept', disk: 'kept' };
    expect(causes(nodes, [domain('web1', 'disk')], kept)).to.deep.equal({
      disk: 'web1',
      foreign: 'web1',
      base: 'web1',
    });
  });

  it('explains the way from the root, link by link', () => {
    const nodes = [volume('base'), volume('top', ['base'])];
    const need = marked(nodes, [domain('web1', 'top')]).get('base');
    const links = need === undefined ? [] : chainOf(need);
    expect(links.map(({ from, edge: { reference } }) => [from.label, reference.value])).to.deep.equal([
      ['web1', '/pool/top'],
      ['volume top', '/pool/base'],
    ]);
  });

  it('gives no link for a node that is kept for its own sake', () => {
    const need = marked([volume('a')], [], { a: 'kept' }).get('a');
    expect(need).to.deep.equal({ cause: 'kept', link: undefined, parent: undefined });
    expect(chainOf(need ?? { cause: '', link: undefined, parent: undefined })).to.deep.equal([]);
  });

  it('takes all nodes that share a token for one', () => {
    const tokens = ['inode:1:2'];
    const nodes = [volume('a', [], { tokens }), volume('b', [], { tokens }), volume('c')];
    expect(reach(nodes, ['/link', 'path', 'inode:1:2'])).to.deep.equal(['a', 'b']);
  });

  it('follows a symbolic link through the tokens of what it leads to', () => {
    const nodes = [volume('a', [], { tokens: ['path:/pool/a', 'path:/real/a', 'inode:1:2'] }), volume('b')];
    expect(reach(nodes, ['/real/a'])).to.deep.equal(['a']);
    expect(reach(nodes, ['/elsewhere/link', 'path', 'path:/real/a'])).to.deep.equal(['a']);
  });

  it('needs everything below a directory that is referred to, at any depth', () => {
    const deep = volume('deep', [], { paths: ['/pool/sub/sub/deep'] });
    const nodes = [volume('a'), deep, volume('sibling', [], { paths: ['/poolside/x'] })];
    expect(reach(nodes, ['/pool', 'dir'])).to.deep.equal(['a', 'deep']);
    expect(reach(nodes, ['/pool/sub', 'dir'])).to.deep.equal(['deep']);
    expect(reach(nodes, ['/', 'dir'])).to.deep.equal(['a', 'deep', 'sibling']);
    expect(reach(nodes, ['/poo', 'dir'])).to.deep.equal([]);
  });

  it('needs a directory when something below it is referred to', () => {
    const nodes = [volume('tree', [], { isDirectory: true }), volume('file')];
    expect(reach(nodes, ['/pool/tree/inner/file'])).to.deep.equal(['tree']);
    expect(reach(nodes, ['/pool/tree-2/file'])).to.deep.equal([]);
    expect(reach(nodes, ['/pool/file/below'])).to.deep.equal([]);
  });

  for (const [text, needed] of [
    ['-drive file=/pool/a.img,if=virtio', ['a.img']],
    ['/pool/a.img', ['a.img']],
    ['rbd:pool/a.img@snap', ['a.img']],
    ['json:{"filename":"a.img"}', ['a.img']],
    ['xa.img', []],
    ['a.imgx', []],
    ['xa.img, then a.img', ['a.img']],
    ['ä.img äa.img', []],
    ['/pool/a.img.bak', ['a.img']],
    ['b.img and a.img', ['a.img', 'b.img']],
    ['', []],
  ] as const) {
    it(`finds ${needed.join(', ') || 'nothing'} in the text ${JSON.stringify(text)}`, () => {
      expect(reach([volume('a.img'), volume('b.img')], [text, 'text'])).to.deep.equal(needed);
    });
  }
});

describe('concerns', () => {
  const node = volume('a.img');
  for (const [what, spot, isConcerned] of [
    ['a blind spot about everything', blindSpot(), true],
    ['its own unreadable header', blindSpot('everything', { holder: 'a.img' }), false],
    ["another node's unreadable header", blindSpot('everything', { holder: 'b.img' }), true],
    ['a list that names its path', blindSpot([{ kind: 'path', value: '/pool/a.img', evidence: '' }]), true],
    ['a list that names it in free text', blindSpot([{ kind: 'text', value: 'see a.img', evidence: '' }]), true],
    ['a list that names others', blindSpot([{ kind: 'path', value: '/pool/b.img', evidence: '' }]), false],
    ['an empty list', blindSpot([]), false],
  ] as const) {
    it(`${isConcerned ? 'sees' : 'sees no'} danger for a volume in ${what}`, () => {
      expect(concerns(spot, node)).to.equal(isConcerned);
    });
  }
});

describe('overlaysFirst', () => {
  const order = (nodes: readonly GraphNode[], all = nodes): readonly string[] =>
    overlaysFirst(nodes, createResolver(all)).map(({ id }) => id);

  it('puts every overlay before what it stands on', () => {
    expect(order([volume('base'), volume('middle', ['base']), volume('top', ['middle'])])).to.deep.equal([
      'top',
      'middle',
      'base',
    ]);
  });

  it('keeps the order of nodes that have nothing to do with each other', () => {
    expect(order(['c', 'a', 'b'].map((name) => volume(name)))).to.deep.equal(['c', 'a', 'b']);
  });

  it('returns each node of a cycle once, behind what stands on the cycle', () => {
    const nodes = [volume('a', ['b']), volume('b', ['a', 'base']), volume('base'), volume('top', ['a'])];
    const ordered = order(nodes);
    expect([...ordered].sort()).to.deep.equal(['a', 'b', 'base', 'top']);
    expect(ordered[0]).to.equal('top');
    expect(ordered[3]).to.equal('base');
  });

  it('returns only the nodes it was given', () => {
    const all = [volume('base'), volume('middle', ['base']), volume('top', ['middle'])];
    expect(
      order(
        [all[0], all[2]].filter((node) => node !== undefined),
        all,
      ).toSorted(),
    ).to.deep.equal(['base', 'top']);
  });

  it('orders chains of any shape', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const bases = fc.array(fc.subarray(names), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(bases, fc.shuffledSubarray(names, { minLength: 6 }), (lists, shuffled) => {
        // Only names that come later in the alphabet, so that there is no cycle.
        const nodes = shuffled.map((name) =>
          volume(name, lists[names.indexOf(name)]?.filter((base) => base > name) ?? []),
        );
        const place = new Map(order(nodes).map((id, index) => [id, index]));
        expect(place.size).to.equal(names.length);
        for (const { id, edges } of nodes) {
          for (const { reference } of edges) {
            expect(place.get(id)).to.be.lessThan(place.get(reference.value.slice('/pool/'.length)) ?? -1);
          }
        }
      }),
    );
  });
});
