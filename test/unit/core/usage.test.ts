import { expect } from 'chai';
import { usersOf } from '../../../src/core/usage.ts';
import type { Edge, GraphNode, GraphRoot, RootKind } from '../../../src/core/use-graph.ts';

function edge(to: string, more: Partial<Edge> = {}): Edge {
  const reference = { kind: 'path' as const, value: to, evidence: 'test' };
  return { reference, document: 'test', tokens: [`path:/${to}`], ...more };
}

function image(id: string, ...edges: readonly Edge[]): GraphNode {
  return { id, label: `volume ${id}`, tokens: [`path:/${id}`], paths: [`/${id}`], isDirectory: false, edges };
}

function root(label: string, kind: RootKind, ...to: readonly string[]): GraphRoot {
  return { label, kind, edges: to.map((each) => edge(each)) };
}

function labels(nodes: readonly GraphNode[], roots: readonly GraphRoot[]): Readonly<Record<string, readonly string[]>> {
  const users = usersOf({ nodes, roots, blindSpots: [] });
  return Object.fromEntries([...users].map(([id, all]) => [id, all.map(({ label }) => label)]));
}

describe('usersOf', () => {
  it('counts every root that reaches an image once, however long the chain', () => {
    const nodes = [image('top', edge('middle')), image('middle', edge('base')), image('base')];
    const roots = [
      root('domain a', 'domain', 'top', 'middle'),
      root('domain b', 'domain', 'base'),
      root('lease', 'lease', 'base'),
    ];
    expect(labels(nodes, roots)).to.deep.equal({
      top: ['domain a'],
      middle: ['domain a'],
      base: ['domain a', 'domain b', 'lease'],
    });
  });

  it('counts an overlay where nothing else that reaches it is counted', () => {
    const nodes = [image('used', edge('base')), image('unused', edge('base')), image('base')];
    expect(labels(nodes, [root('domain a', 'domain', 'used')])).to.deep.equal({
      used: ['domain a'],
      base: ['domain a', 'volume unused'],
    });
  });

  it('names the outermost image of a chain, and no other', () => {
    const nodes = [image('base'), image('middle', edge('base')), image('top', edge('middle'))];
    expect(labels(nodes, [])).to.deep.equal({ middle: ['volume top'], base: ['volume top'] });
  });

  it('ends in a cycle', () => {
    const users = labels([image('a', edge('b')), image('b', edge('a'))], []);
    expect(Object.values(users)).to.have.length(1);
  });

  it('takes neither a lock nor another name of the file for a user', () => {
    const nodes = [image('base'), image('alias', edge('base', { isAlias: true }))];
    expect(labels(nodes, [root('lock', 'pin', 'base')])).to.deep.equal({});
  });

  it('counts who holds a file open only where nobody else is known', () => {
    const nodes = [image('a'), image('b')];
    const roots = [root('domain x', 'domain', 'a'), root('process 1', 'holder', 'a', 'b')];
    expect(labels(nodes, roots)).to.deep.equal({ a: ['domain x'], b: ['process 1'] });
  });
});
