import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { NoSpaceError } from '../../src/errors.ts';
import { openCheckpointedUpload } from '../../src/execute/checkpointed-upload.ts';
import { Connection } from '../../src/libvirt/connection.ts';
import { buildPool, definePool, poolXml, startPool } from '../../src/libvirt/storage-pool.ts';
import { createVolume, volumeXml } from '../../src/libvirt/volume.ts';
import { type PrivateLibvirtd, startPrivateLibvirtd } from '../support/private-libvirtd.ts';
import { rejection } from '../support/rejection.ts';

const MIB = 2 ** 20;

describe('a checkpointed upload', () => {
  let libvirtd: PrivateLibvirtd;
  let connection: Connection;
  let folder: string;

  before(async () => {
    libvirtd = await startPrivateLibvirtd();
    connection = await Connection.open(libvirtd.uri, { lanes: 2 });
    folder = join(libvirtd.root, 'images');
    await definePool(connection, poolXml({ name: 'images', targetPath: folder }));
    await buildPool(connection, 'images');
    await startPool(connection, 'images');
  });
  after(async () => {
    await connection.close();
    await libvirtd.stop();
  });

  it('is confirmed every 64 MiB, from wherever it begins, and at its end', async () => {
    const sizeBytes = 131 * MIB;
    const { sink, held } = await upload('whole.img', sizeBytes, MIB);
    for (let at = MIB; at < sizeBytes; at += MIB) await sink.write(Buffer.alloc(MIB, at / MIB));
    await sink.finish();
    expect(held).to.deep.equal([65 * MIB, 129 * MIB, sizeBytes]);
    const bytes = await readFile(join(folder, 'whole.img'));
    const first = Array.from({ length: 131 }, (_, index) => bytes[index * MIB]);
    expect({ length: bytes.length, first }).to.deep.equal({
      length: sizeBytes,
      first: Array.from({ length: 131 }, (_, index) => index),
    });
  }).timeout(60_000);

  it('sends the next part while the confirmation of the last one is noted, and ends none before', async () => {
    let confirm = (): void => undefined;
    const noting = new Promise<void>((resolve) => {
      confirm = resolve;
    });
    const { sink, held } = await upload('beside.img', 131 * MIB, 0, () => noting);
    for (let at = 0; at < 127 * MIB; at += MIB) await sink.write(Buffer.alloc(MIB));
    expect(held).to.deep.equal([64 * MIB]);
    const last = sink.write(Buffer.alloc(MIB));
    const first = await Promise.race([last.then(() => 'ended'), delay(100).then(() => 'waits')]);
    confirm();
    await last;
    await sink.abort();
    expect({ first, held }).to.deep.equal({ first: 'waits', held: [64 * MIB, 128 * MIB] });
  });

  it('fails when a confirmation cannot be noted, and says why', async () => {
    const full = new NoSpaceError('no space for the note');
    const { sink } = await upload('unnoted.img', 65 * MIB, 0, () => Promise.reject(full));
    for (let at = 0; at < 65 * MIB; at += MIB) await sink.write(Buffer.alloc(MIB));
    expect(await rejection(sink.finish())).to.equal(full);
    await sink.abort();
    await Promise.all([connection.run(async () => undefined), connection.run(async () => undefined)]);
  });

  it('is confirmed as far as it came when it is given up', async () => {
    const { sink, held } = await upload('part.img', 8 * MIB, 0);
    await sink.write(Buffer.alloc(3 * MIB + 5, 7));
    await sink.abort();
    await sink.abort();
    const bytes = await readFile(join(folder, 'part.img'));
    expect({ held, last: bytes[3 * MIB + 4], behind: bytes[3 * MIB + 5] }).to.deep.equal({
      held: [3 * MIB + 5],
      last: 7,
      behind: 0,
    });
  });

  it('is confirmed no further when libvirtd dies, and gives its lane back', async () => {
    const { sink, held } = await upload('lost.img', 8 * MIB, 0);
    await sink.write(Buffer.alloc(MIB));
    await libvirtd.kill9();
    await sink.abort();
    await libvirtd.start();
    expect(held).to.deep.equal([]);
    await Promise.all([connection.run(async () => undefined), connection.run(async () => undefined)]);
  });

  async function upload(name: string, sizeBytes: number, offset: number, note?: () => Promise<void>) {
    const xml = volumeXml({ name, capacityBytes: BigInt(sizeBytes), allocationBytes: 0n, format: 'raw' });
    await createVolume(connection, 'images', xml);
    const held: number[] = [];
    const sink = await openCheckpointedUpload({
      connection,
      poolName: 'images',
      volumeName: name,
      offset: BigInt(offset),
      sizeBytes: BigInt(sizeBytes),
      onHeld: async (bytes) => {
        held.push(Number(bytes));
        await note?.();
      },
    });
    return { sink, held };
  }
});
