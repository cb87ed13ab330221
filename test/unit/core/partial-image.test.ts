import { expect } from 'chai';
import type { OpenIntent } from '../../../src/core/journal.ts';
import { findPartialImages, progressNotes } from '../../../src/core/partial-image.ts';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import type { ImageRecord } from '../../../src/core/record.ts';

const NAME = 'x-uvt-b64-cCAx';
const identity = { product: 'p', version: '1' };
const digest = { algorithm: 'sha256', hex: 'ab'.repeat(32) } as const;

describe('findPartialImages', () => {
  it('tells how far an image has come, and what its sender said', () => {
    const notes = progressNotes(64n, { etag: '"x"', lastModified: undefined });
    expect(find('saving', [open(7, notes)])).to.deep.equal([
      [NAME, { intentId: 7, sizeBytes: 100n, digest, heldBytes: 64n, etag: '"x"', lastModified: undefined }],
    ]);
  });

  it('trusts nothing that the journal does not say', () => {
    const nothing = { sizeBytes: 100n, digest, heldBytes: 0n, etag: undefined, lastModified: undefined };
    expect(find('saving', [])).to.deep.equal([[NAME, { intentId: undefined, ...nothing }]]);
    for (const heldBytes of ['', '-1', '101', '1e9', '9'.repeat(40)])
      expect(find('saving', [open(7, { heldBytes })])).to.deep.equal([[NAME, { intentId: 7, ...nothing }]]);
  });

  it('takes the last of several intents', () => {
    const [[, partial] = []] = find('saving', [open(7, { heldBytes: '1' }), open(8, { heldBytes: '2' })]);
    expect(partial).to.include({ intentId: 8, heldBytes: 2n });
  });

  it('leaves out volumes that are missing, of another length, or not known to be unfinished', () => {
    expect(find('saving', [open(7)], new Map())).to.deep.equal([]);
    expect(find('saving', [open(7)], new Map([[NAME, 99n]]))).to.deep.equal([]);
    for (const status of ['queued', 'active', 'deactivated', 'pending_delete', 'deleted'] as const)
      expect(find(status, [open(7)]), status).to.deep.equal([]);
  });

  it('counts one that was given up as long as its intent is open', () => {
    expect(find('killed', [open(7)])).to.have.length(1);
    expect(find('killed', [])).to.deep.equal([]);
  });
});

function find(status: ImageStatus, openIntents: readonly OpenIntent[], lengths = new Map([[NAME, 100n]])) {
  const records = new Map([[NAME, record(status)]]);
  return [...findPartialImages({ records, lengths, files: new Map(), openIntents })];
}

function open(id: number, notes: OpenIntent['notes'] = {}): OpenIntent {
  return {
    id,
    notes,
    intent: { kind: 'fetch', volumeName: NAME, identity, url: 'http://x/', sizeBytes: 100n, digest },
  };
}

function record(status: ImageStatus): ImageRecord {
  return {
    volumeName: NAME,
    identity,
    status,
    reason: undefined,
    provenance: {
      source: 'http://x/',
      itemPath: 'p.img',
      sizeBytes: 100n,
      digest,
      signer: undefined,
      broughtBy: 'poolkeeper 0.1.0',
    },
    tags: {},
    times: { createdAt: 0, statusSince: 0, lastNeededAt: 0 },
  };
}
