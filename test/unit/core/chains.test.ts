import { expect } from 'chai';
import * as fc from 'fast-check';
import { type Chain, chainsTo } from '../../../src/core/chains.ts';
import {
  createResolver,
  type Edge,
  type GraphNode,
  type GraphRoot,
  mark,
  type UseGraph,
} from '../../../src/core/use-graph.ts';

function edge(token: string, evidence = 'file'): Edge {
  return { reference: { kind: 'path', value: `/${token}`, evidence }, document: 'document', tokens: [token] };
}

function node(id: string, ...needs: readonly string[]): GraphNode {
  return { id, label: id, tokens: [id], paths: [`/${id}`], isDirectory: false, edges: needs.map((need) => edge(need)) };
}

function root(label: string, ...edges: readonly (Edge | string)[]): GraphRoot {
  return { label, edges: edges.map((each) => (typeof each === 'string' ? edge(each) : each)) };
}

function graphOf(nodes: readonly GraphNode[], roots: readonly GraphRoot[] = []): UseGraph {
  return { nodes, roots, blindSpots: [] };
}

/** Each chain as the labels that it leads through. */
function ways(target: string, graph: UseGraph, kept: Readonly<Record<string, string>> = {}): string[] {
  const goal = graph.nodes.find(({ id }) => id === target);
  if (goal === undefined) throw new Error(`no node ${target}`);
  return chainsTo(goal, graph, new Map(Object.entries(kept))).map(wayOf);
}

function wayOf({ cause, links }: Chain): string {
  return [`${links[0]?.from.label} [${cause}]`, ...links.map(({ to }) => to.label)].join(' > ');
}

describe('chainsTo', () => {
  it('leads from a root through every image down to the target, with the evidence of each link', () => {
    const nodes = [node('a', 'b'), node('b', 'c'), node('c')];
    const roots = [root('domain x', 'a')];
    const [a, b, c] = nodes as [GraphNode, GraphNode, GraphNode];
    expect(chainsTo(c, graphOf(nodes, roots), new Map())).to.deep.equal([
      {
        cause: 'domain x',
        links: [
          { from: roots[0], edge: roots[0]?.edges[0], to: a },
          { from: a, edge: a.edges[0], to: b },
          { from: b, edge: b.edges[0], to: c },
        ],
      },
    ]);
  });

  it('finds one chain for each reference of each root', () => {
    const graph = graphOf(
      [node('a', 'c'), node('b', 'c'), node('c'), node('d')],
      [root('domain x', edge('a', 'live'), edge('a', 'inactive'), 'd'), root('domain y', 'b', 'c'), root('domain z')],
    );
    expect(ways('c', graph)).to.deep.equal([
      'domain x [domain x] > a > c',
      'domain x [domain x] > a > c',
      'domain y [domain y] > b > c',
      'domain y [domain y] > c',
    ]);
  });

  it('takes the shortest way, and for a reference to many images the nearest of them', () => {
    const both: Edge = { ...edge('a'), tokens: ['a', 'b'] };
    const graph = graphOf([node('a', 'b', 'c'), node('b', 'c'), node('c', 'd'), node('d')], [root('x', both, 'a')]);
    expect(ways('d', graph)).to.deep.equal(['x [x] > a > c > d', 'x [x] > a > c > d']);
    expect(ways('b', graph)).to.deep.equal(['x [x] > b', 'x [x] > a > b']);
  });

  it('ends in cycles, the target in one of them included', () => {
    const graph = graphOf([node('a', 'b', 'a'), node('b', 'a', 'c'), node('c', 'b')], [root('x', 'a')]);
    expect(ways('c', graph)).to.deep.equal(['x [x] > a > b > c']);
    expect(ways('a', graph)).to.deep.equal(['x [x] > a']);
  });

  it('begins with an image that stays, unless a chain leads through it already', () => {
    const nodes = [node('a', 'b'), node('b', 'c'), node('c', 'e'), node('d', 'e'), node('e')];
    const kept = { a: 'a is foreign', b: 'b is foreign', d: 'd is offered', e: 'e is foreign' };
    expect(ways('e', graphOf(nodes), kept)).to.deep.equal(['a [a is foreign] > b > c > e', 'd [d is offered] > e']);
    expect(ways('e', graphOf(nodes, [root('x', 'b')]), kept)).to.deep.equal([
      'x [x] > b > c > e',
      'a [a is foreign] > b > c > e',
      'd [d is offered] > e',
    ]);
  });

  it('finds nothing for what nothing needs, not even itself', () => {
    expect(ways('a', graphOf([node('a', 'a', 'b'), node('b')], [root('x', 'b')]), { a: 'a stays' })).to.deep.equal([]);
  });

  it('stays quick where there are more ways than could ever be listed', () => {
    const layers = 60;
    const name = (layer: number, side: number): string => `${layer}-${side}`;
    const nodes = Array.from({ length: layers }, (_, layer) =>
      [0, 1].map((side) => node(name(layer, side), name(layer + 1, 0), name(layer + 1, 1))),
    ).flat();
    const graph = graphOf([...nodes, node(name(layers, 0))], [root('x', name(0, 0), name(0, 1))]);
    const found = ways(name(layers, 0), graph);
    expect(found.map((way) => way.split(' > ').length)).to.deep.equal([layers + 2, layers + 2]);
  });

  it('finds a chain for a node exactly when the mark reaches it from a root', () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    const some = fc.subarray(ids);
    fc.assert(
      fc.property(fc.tuple(...ids.map(() => some)), fc.array(some, { maxLength: 3 }), some, (needs, roots, kept) => {
        const nodes = ids.map((id, index) => node(id, ...(needs[index] ?? [])));
        const graph = graphOf(
          nodes,
          roots.map((needed, index) => root(`root ${index}`, ...needed)),
        );
        const reasons = new Map(kept.map((id) => [id, `${id} stays`]));
        for (const target of nodes) {
          const others = new Map([...reasons].filter(([id]) => id !== target.id));
          const marked = mark(graph, createResolver(nodes), others);
          const chains = chainsTo(target, graph, reasons);
          expect(chains.length > 0).to.equal(marked.has(target.id));
          for (const { links } of chains) {
            expect(links.at(-1)?.to).to.equal(target);
            links.forEach((link, index) => {
              expect(link.from.edges).to.include(link.edge);
              expect(link.from).to.equal(index === 0 ? link.from : links[index - 1]?.to);
            });
          }
        }
      }),
    );
  });
});
