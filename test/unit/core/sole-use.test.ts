import { expect } from 'chai';
import { soleUseOf } from '../../../src/core/sole-use.ts';
import type { Edge, GraphRoot, UseGraph } from '../../../src/core/use-graph.ts';
import { blindSpot, edge, volume } from './graph.ts';

const V = volume('v', ['base']);
const BASE = volume('base');

function root(label: string, document: string, more: Partial<Edge> = {}, isClaim = false): GraphRoot {
  return { label, edges: [{ ...edge('/pool/v'), document, ...more }], ...(isClaim && { isClaim }) };
}

const pinned: Partial<Edge> = { reference: { kind: 'volume', pool: 'pool', value: 'v', evidence: 'pin' } };

const USERS: readonly (readonly [title: string, graph: Partial<UseGraph>, obstacles: number])[] = [
  ['nobody', {}, 0],
  ['a domain that is shut off', { roots: [root('domain web1', 'domain web1, inactive XML')] }, 0],
  ['a domain that runs', { roots: [root('domain web1', 'domain web1, live XML')] }, 1],
  ['a snapshot of libvirt', { roots: [root('domain web1', 'domain web1, snapshot s1')] }, 1],
  ['a saved state', { roots: [root('domain web1', 'domain web1, managed save XML')] }, 1],
  ['a domain that opens it as raw bytes', { roots: [root('domain w', 'domain w, inactive XML', { isRaw: true })] }, 1],
  ['a domain with a chain of its own', { roots: [root('domain w', 'domain w, inactive XML', { isFixed: true })] }, 1],
  ['a process', { roots: [root('process 7 (qemu-nbd)', 'process 7 (qemu-nbd)')] }, 1],
  ['a lease', { roots: [root('lease 1', 'lease 1', {}, true)] }, 1],
  ['an overlay', { nodes: [V, BASE, volume('clone', ['v'])] }, 1],
  [
    'a domain that is shut off, on an overlay',
    {
      nodes: [V, BASE, volume('clone', ['v'])],
      roots: [{ label: 'domain w', edges: [{ ...edge('/pool/clone'), document: 'domain w, inactive XML' }] }],
    },
    1,
  ],
];

describe('soleUseOf', () => {
  for (const [title, more, obstacles] of USERS) {
    it(`${obstacles === 0 ? 'lets a volume change' : 'holds a volume'} that is used by ${title}`, () => {
      const graph: UseGraph = { nodes: [V, BASE], roots: [], blindSpots: [], ...more };
      expect(soleUseOf(V, graph, true).obstacles).to.have.lengthOf(obstacles);
    });
  }

  it('lets a lock hold the content, and not the layer that it is in', () => {
    const roots = [
      root("the administrator's lock", 'record of image v', { ...pinned, tokens: ['path:/pool/v'] }, true),
    ];
    const graph: UseGraph = { nodes: [V, BASE], roots, blindSpots: [] };
    expect(soleUseOf(V, graph, true).obstacles).to.have.lengthOf(0);
    expect(soleUseOf(V, graph, false).obstacles).to.have.lengthOf(1);
  });

  it('names what could not be seen', () => {
    const spot = blindSpot();
    expect(soleUseOf(V, { nodes: [V, BASE], roots: [], blindSpots: [spot] }, true).blindSpots).to.deep.equal([spot]);
  });
});
