import { expect } from 'chai';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import { formerOwners, ownersOf, ownSelection } from '../../../src/core/product-owners.ts';
import type { ImageRecord } from '../../../src/core/record.ts';
import type { Selection } from '../../../src/core/selection.ts';

function record(product: string, source: string | undefined, status: ImageStatus = 'active'): ImageRecord {
  const times = { createdAt: 1, statusSince: 1, lastNeededAt: 1 };
  const nothing = { itemPath: undefined, sizeBytes: undefined, digest: undefined, signer: undefined };
  const provenance = { ...nothing, source, broughtBy: 'test' };
  const identity = { product, version: '1' };
  return { volumeName: product, identity, status, reason: undefined, provenance, tags: {}, times };
}

describe('ownersOf', () => {
  const owners = (...records: readonly ImageRecord[]): unknown =>
    Object.fromEntries(ownersOf(records, new Set(['https://a/', 'https://b/'])));

  it('names the source that brought what is held or on its way', () => {
    expect(owners(record('p', 'https://a/'), record('q', 'https://b/', 'saving'))).to.deep.equal({
      p: 'https://a/',
      q: 'https://b/',
    });
  });
  it('leaves free what failed, what waits for its deletion, and what is gone', () => {
    const statuses: readonly ImageStatus[] = ['killed', 'pending_delete', 'deleted'];
    for (const status of statuses) expect(owners(record('p', 'https://a/', status))).to.deep.equal({});
  });
  it('leaves free what came from a source that is none any more, or from nobody knows where', () => {
    expect(owners(record('p', 'https://old/'), record('q', undefined))).to.deep.equal({});
  });
});

describe('formerOwners', () => {
  it('names whence products came before that another source brought now', () => {
    const records = [
      record('p', 'https://a/'),
      record('q', 'https://b/'),
      record('r', undefined),
      record('s', 'https://a/'),
      record('t', 'https://a/', 'deleted'),
    ];
    const former = formerOwners(records, new Set(['p', 'q', 'r', 't']), 'https://b/');
    expect([...former]).to.deep.equal([['p', 'https://a/']]);
  });
});

describe('ownSelection', () => {
  const refused = (product: string) => ({ identity: { product, version: '1' }, reason: 'no size' });
  const selection: Selection = { wanted: [], refused: [refused('p'), refused('q'), refused('r')] };

  it('leaves to each source what it brought, and says what is whose', () => {
    const owners = new Map([
      ['p', 'https://a/'],
      ['q', 'https://b/'],
    ]);
    expect(ownSelection(selection, 'https://a/', owners)).to.deep.equal({
      selection: { wanted: [], refused: [refused('p'), refused('r')] },
      claimed: new Map([['https://b/', ['q']]]),
    });
  });
});
