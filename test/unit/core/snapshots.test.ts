import { expect } from 'chai';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import type { ImageRecord } from '../../../src/core/record.ts';
import {
  assertNewName,
  childrenOf,
  findSnapshot,
  flatBytes,
  imageLabel,
  type LayerVolume,
  snapshotId,
  snapshotIdentity,
  type Snapshot,
  snapshotsOf,
  temporaryIdentity,
  treeOf,
} from '../../../src/core/snapshots.ts';
import { FailureError, NoMatchError, UsageError } from '../../../src/errors.ts';

const IMAGE = { product: 'local:web1', version: '20261125T201500Z' };
const NOTHING = { source: undefined, itemPath: undefined, sizeBytes: undefined, digest: undefined, signer: undefined };

function record(name: string, createdAt: number, status: ImageStatus = 'active', of = 'v'): ImageRecord {
  return {
    volumeName: name,
    identity: snapshotIdentity(IMAGE, name, `id-${name}`),
    status,
    reason: undefined,
    provenance: { ...NOTHING, broughtBy: 'poolkeeper' },
    tags: {},
    times: { createdAt, statusSince: createdAt, lastNeededAt: createdAt },
    traits: { type: 'os', isPersistent: false, snapshotOf: of },
  };
}

function layer(name: string, backing?: string, allocationBytes = 10n): LayerVolume {
  return {
    name,
    path: `/pool/${name}`,
    backingPath: backing === undefined ? undefined : `/pool/${backing}`,
    allocationBytes,
  };
}

/** `v` stands on `b`; `b` and `c` stand on `a`, which stands on a base that is no snapshot. */
const LAYERS = [layer('v', 'b'), layer('a', 'base'), layer('b', 'a'), layer('c', 'a'), layer('base')];
const RECORDS = new Map(
  [record('b', 2), record('a', 1), record('c', 3), record('gone', 0)].map((r) => [r.volumeName, r]),
);
const SNAPSHOTS = snapshotsOf('v', RECORDS, LAYERS);

const named = (name: string): Snapshot => findSnapshot(name, SNAPSHOTS, 'web1');

describe('snapshots', () => {
  it('stand on each other as their volumes do, the oldest first', () => {
    expect(SNAPSHOTS.map(({ name, parent, isCurrent }) => [name, parent, isCurrent])).to.deep.equal([
      ['a', undefined, false],
      ['b', 'a', true],
      ['c', 'a', false],
    ]);
  });

  it('are those of their image that are whole', () => {
    const others = [record('x', 1, 'killed'), record('y', 1, 'importing'), record('z', 1, 'active', 'other')];
    const records = new Map(others.map((each) => [each.volumeName, each]));
    expect(snapshotsOf('v', records, [layer('x'), layer('y'), layer('z')])).to.deep.equal([]);
  });

  it('make a tree', () => {
    expect(treeOf(SNAPSHOTS).map(({ branch, snapshot }) => branch + snapshot.name)).to.deep.equal([
      'a',
      '├─ b',
      '└─ c',
    ]);
  });

  it('are found by name or id, and a name that is nearly one is suggested', () => {
    expect(named('a')).to.equal(named('id-a'));
    expect(() => findSnapshot('aa', SNAPSHOTS, 'web1')).to.throw(NoMatchError, "image web1 has no snapshot 'aa'");
  });

  it('have names and ids that no other of their image has, even while they wait for their deletion', () => {
    expect(() => assertNewName('d', SNAPSHOTS, 'web1')).not.to.throw();
    for (const name of ['a', 'id-a']) expect(() => assertNewName(name, SNAPSHOTS, 'web1')).to.throw(FailureError);
  });

  it('do not count those as children that wait for their deletion', () => {
    expect(childrenOf(named('a'), SNAPSHOTS).map(({ name }) => name)).to.deep.equal(['b', 'c']);
    const records = new Map([...RECORDS, ['c', record('c', 3, 'pending_delete')]]);
    const waiting = snapshotsOf('v', records, LAYERS);
    expect(childrenOf(named('a'), waiting).map(({ name }) => name)).to.deep.equal(['b']);
  });

  it('have identities that are local and that no image has which is brought in', () => {
    expect(snapshotIdentity(IMAGE, 'before', '1')).to.deep.equal({ product: 'local:web1@before', version: '1' });
    const cloud = { product: 'com.ubuntu.cloud:server:24.04:amd64', version: '20240423' };
    expect(snapshotIdentity(cloud, 'before', '1').product).to.equal('local:com.ubuntu.cloud:server:24.04:amd64@before');
    expect(temporaryIdentity(IMAGE, '1').product).to.equal('local:web1@@temporary');
    for (const name of ['', '.a', 'a/b', 'a b', '@a', 'a'.repeat(41)])
      expect(() => snapshotIdentity(IMAGE, name, '1'), name).to.throw(UsageError);
  });

  it('are called after the time', () => {
    expect(snapshotId('2026-11-25T20:15:00.123Z')).to.equal('20261125T201500123Z');
    expect(imageLabel(IMAGE)).to.equal('web1');
  });
});

describe('flatBytes', () => {
  const GIB = 2n ** 30n;
  const MIB = 2n ** 20n;

  it('counts every layer, and a base that nothing is known of as a whole disk', () => {
    expect(flatBytes('v', LAYERS, GIB)).to.equal(40n + MIB);
    expect(flatBytes('v', [layer('v', 'elsewhere')], GIB)).to.equal(GIB + GIB / 4096n + MIB);
  });

  it('is never more than the disk and its tables, and ends in a circle', () => {
    expect(flatBytes('v', [layer('v', 'w', GIB), layer('w', 'v', GIB)], GIB)).to.equal(GIB + GIB / 4096n + MIB);
  });
});
