import { expect } from 'chai';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import type { PartialImage } from '../../../src/core/partial-image.ts';
import type { ImageRecord } from '../../../src/core/record.ts';
import type { WantedImage } from '../../../src/core/selection.ts';
import { planSync, type SyncFacts } from '../../../src/core/sync-plan.ts';

const digest = { algorithm: 'sha256', hex: 'ab'.repeat(32) } as const;
const item = { sha256: digest.hex };
const image: WantedImage = {
  identity: { product: 'p', version: '2' },
  path: 'p-2.img',
  sizeBytes: 100n,
  digest,
  tags: item,
  signer: undefined,
};
const partial: PartialImage = {
  intentId: 7,
  sizeBytes: 100n,
  digest,
  heldBytes: 64n,
  etag: '"x"',
  lastModified: undefined,
};

describe('the plan of a sync after an interrupted transfer', () => {
  it('goes on with the volume that is here', () => {
    const steps = plan({ volumes: ['p 2'], records: [['p 2', 'saving']], partials: [['p 2', partial]] });
    expect(steps).to.deep.equal([{ action: 'fetch', image, volumeName: 'p 2', partial }]);
  });

  it('fills the volume from its first byte when the source describes something else by now', () => {
    const other = { ...partial, digest: { ...digest, hex: 'cd'.repeat(32) } };
    const steps = plan({ volumes: ['p 2'], records: [['p 2', 'saving']], partials: [['p 2', other]] });
    expect(steps).to.deep.equal([{ action: 'fetch', image, volumeName: 'p 2', partial: { ...other, heldBytes: 0n } }]);
  });

  it('takes up again what was given up meanwhile', () => {
    const steps = plan({ volumes: ['p 2'], records: [['p 2', 'killed']], partials: [['p 2', partial]] });
    expect(steps).to.deep.equal([{ action: 'fetch', image, volumeName: 'p 2', partial }]);
  });

  it('does not enlist it, even if uvtool offers it', () => {
    const steps = plan({
      volumes: ['p 2'],
      metadata: ['p 2'],
      records: [['p 2', 'saving']],
      partials: [['p 2', partial]],
    });
    expect(steps.map(({ action }) => action)).to.deep.equal(['fetch']);
  });

  for (const status of ['queued', 'saving', 'importing', 'deleted'] as const) {
    it(`takes a volume that no transfer left for somebody else's, although its record says ${status}`, () => {
      const records = [['p 2', status]] as const;
      expect(plan({ volumes: ['p 2'], records })).to.deep.equal([{ action: 'adopt', image, volumeName: 'p 2' }]);
      expect(plan({ volumes: ['p 2'], records, metadata: ['p 2'] })).to.deep.equal([
        { action: 'enlist', identity: image.identity, item, volumeName: 'p 2' },
      ]);
    });
  }

  it('gives up what a newer version has replaced, with or without a volume', () => {
    const older = { product: 'p', version: '1' };
    const discard = { action: 'discard', identity: older, volumeName: 'p 1' };
    const partials = [['p 1', partial]] as const;
    const fetch = { action: 'fetch', image, volumeName: 'p 2', partial: undefined };
    expect(plan({ volumes: ['p 1'], records: [['p 1', 'saving']], partials })).to.deep.equal([
      fetch,
      { ...discard, hasVolume: true },
    ]);
    for (const status of ['saving', 'queued'] as const)
      expect(plan({ records: [['p 1', status]] })).to.deep.equal([fetch, { ...discard, hasVolume: false }]);
  });

  it('leaves products alone that it does not want', () => {
    const steps = plan({
      volumes: ['p 2', 'q 1'],
      records: [
        ['p 2', 'active'],
        ['q 1', 'saving'],
      ],
      metadata: ['p 2'],
    });
    expect(steps).to.deep.equal([]);
  });
});

/** What there is, by identity text, which is the volume name here, too. */
interface Found {
  readonly volumes?: readonly string[];
  readonly metadata?: readonly string[];
  readonly records?: readonly (readonly [string, ImageStatus])[];
  readonly partials?: readonly (readonly [string, PartialImage])[];
}

function plan({ volumes = [], metadata = [], records = [], partials = [] }: Found) {
  const facts: SyncFacts = {
    wanted: [image],
    volumeName: ({ product, version }) => `${product} ${version}`,
    volumes: new Map(volumes.map((name) => [name, identityOf(name)])),
    metadata: new Map(metadata.map((name) => [name, { identity: identityOf(name), item }])),
    records: new Map(records.map(([name, status]) => [name, record(name, status)])),
    partials: new Map(partials),
    rewritten: new Set<string>(),
    unknown: new Map(),
    keepVersions: 1,
  };
  return planSync(facts);
}

function identityOf(name: string) {
  const [product = '', version = ''] = name.split(' ');
  return { product, version };
}

function record(volumeName: string, status: ImageStatus): ImageRecord {
  const provenance = {
    source: 'http://x/',
    itemPath: 'p.img',
    sizeBytes: 100n,
    digest,
    signer: undefined,
    broughtBy: 'poolkeeper 0.1.0',
  };
  const times = { createdAt: 0, statusSince: 0, lastNeededAt: 0 };
  return { volumeName, identity: identityOf(volumeName), status, reason: undefined, provenance, tags: {}, times };
}
