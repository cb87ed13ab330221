import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeMetadataName, type Identity } from '../../src/core/identity.ts';
import type { ImageRecord } from '../../src/core/record.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';
import { ensurePoolStateDirs, type PoolStatePaths, poolStatePaths } from '../../src/state/paths.ts';
import { writeRecord } from '../../src/state/records.ts';
import { createQcow2 } from '../support/qemu.ts';
import { runInProcess } from '../support/in-process.ts';
import { jsonLines } from '../support/json-lines.ts';
import { type Run, World } from '../support/world.ts';

const MIB = 2 ** 20;
const BASE: Identity = { product: 'com.example:base', version: '1' };
const OTHER: Identity = { product: 'com.example:other', version: '1' };
const UNKNOWN: Identity = { product: 'com.example:uvtool', version: '1' };
const DISK: Identity = { product: 'local:disk', version: '20261125T000000Z' };

describe('poolkeeper verify', () => {
  let world: World;
  let paths: PoolStatePaths;
  const pathOf = (identity: Identity): string => join(world.poolPath, encodeMetadataName(identity));

  before(async () => {
    world = await World.start();
    await world.createPool();
    const uuid = (await world.libvirtd.virsh('pool-uuid', 'uvtool')).trim();
    const [stateDir, pool] = [join(world.root, 'state'), { name: 'uvtool', uuid }];
    paths = poolStatePaths({ stateDir, pool, metadataDir: world.metadata });
    await ensurePoolStateDirs(paths, process.geteuid?.() ?? 0);
    await put(BASE, 100 * MIB);
    await put(OTHER, MIB);
    await put(UNKNOWN, MIB, { digest: undefined, broughtBy: 'uvtool' });
    await put(DISK, MIB, {}, { type: 'os', isPersistent: true });
    const overlay = join(world.poolPath, 'web1.qcow2');
    await createQcow2(overlay, { sizeBytes: 100 * MIB, backing: pathOf(BASE), backingFormat: 'raw' });
    await world.libvirtd.give(overlay);
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    await world.define('web1', { pool: 'uvtool', volume: 'web1.qcow2' });
    await world.define('web2', { path: pathOf(BASE), format: 'raw', readOnly: true });
    await world.define('web3', { path: pathOf(OTHER), format: 'raw' });
  });
  after(() => world.stop());

  const pk = (...args: readonly string[]): Promise<Run> => runInProcess(world, args);

  /** Makes an image, sparse but for a few bytes, that is offered. */
  async function put(
    identity: Identity,
    sizeBytes: number,
    provenance: Partial<ImageRecord['provenance']> = {},
    traits?: ImageRecord['traits'],
  ): Promise<void> {
    const path = pathOf(identity);
    const file = await open(path, 'w');
    await file.truncate(sizeBytes);
    await file.write(Buffer.from(identity.product), 0, undefined, sizeBytes / 2);
    await file.close();
    await world.libvirtd.give(path);
    const hex = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    const digest = { algorithm: 'sha256', hex } as const;
    const file0 = { source: undefined, itemPath: undefined, sizeBytes: BigInt(sizeBytes), digest, signer: undefined };
    await writeRecord(paths.records, {
      volumeName: encodeMetadataName(identity),
      identity,
      status: 'active',
      reason: undefined,
      provenance: { ...file0, broughtBy: 'test', ...provenance },
      tags: { release: 'test' },
      times: { createdAt: 1, statusSince: 1, lastNeededAt: 1 },
      traits,
    });
    await writeMetadataFile(paths.metadata, identity, { release: 'test' });
  }

  /** Changes one byte, and nothing else, not even the time that the file was changed. */
  async function flip(path: string, at: number): Promise<void> {
    const file = await open(path, 'r+');
    try {
      const { atime, mtime } = await file.stat();
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, at);
      await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
      await file.utimes(atime, mtime);
    } finally {
      await file.close();
    }
  }

  it('finds every image as it was, and says of which it cannot tell', async () => {
    const run = await pk('verify');
    expect(run.stdout.split('\n').toSorted()).to.deep.equal([
      '',
      'cannot verify image com.example:uvtool 1: no checksum of it is known, since uvtool brought it',
      'skipped image local:disk 20261125T000000Z: it is persistent, so the domain that uses it may write to it',
      'verified image com.example:base 1',
      'verified image com.example:other 1',
    ]);
    expect([run.status, run.stderr]).to.deep.equal([3, 'poolkeeper: error: 1 of 4 image(s) could not be verified\n']);
    expect(await pk('verify', 'com.example:other', 'local:disk')).to.include({ status: 0, stderr: '' });
  });

  it('finds one flipped byte in an image of 100 MiB, and names every domain that stands on it', async () => {
    await flip(pathOf(BASE), 77 * MIB + 5);
    const run = await pk('verify', 'com.example:base', 'com.example:other');
    expect(run.status).to.equal(15);
    expect(run.stdout).to.match(
      /^image com\.example:base 1 HAS CHANGED: its sha256 was [0-9a-f]{64} and is [0-9a-f]{64}$/m,
    );
    expect([...run.stdout.matchAll(/^ {2}(.*) stands on it$/gm)].map(([, user]) => user)).to.deep.equal([
      'domain web1',
      'domain web2',
    ]);
    expect(run.stdout).to.include('verified image com.example:other 1\n');
    expect(run.stderr).to.include('poolkeeper: error: 1 image(s) are not what they were\n');
    const json = jsonLines((await pk('verify', 'com.example:base', '--json')).stdout);
    expect(json[0]).to.deep.include({
      message_type: 'verified',
      result: 'changed',
      users: ['domain web1', 'domain web2'],
    });
    await flip(pathOf(BASE), 77 * MIB + 5);
    expect(await pk('verify', 'com.example:base')).to.include({ status: 0 });
  });

  it('leaves a task of each reading', async () => {
    const tasks = jsonLines((await pk('tasks', '--json')).stdout);
    const [last] = tasks;
    expect(last).to.include({ kind: 'verify', product: 'com.example:base', status: 'success', total_bytes: 100 * MIB });
  });
});
