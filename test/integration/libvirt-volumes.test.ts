import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LibvirtError } from '../../src/errors.ts';
import { Connection } from '../../src/libvirt/connection.ts';
import { isNoStorageVolume } from '../../src/libvirt/error-codes.ts';
import * as pools from '../../src/libvirt/storage-pool.ts';
import { downloadVolume, openUpload } from '../../src/libvirt/stream.ts';
import * as volumes from '../../src/libvirt/volume.ts';
import { startPrivateLibvirtd, type PrivateLibvirtd } from '../support/private-libvirtd.ts';
import { createQcow2, qemuImg } from '../support/qemu.ts';
import { rejection } from '../support/rejection.ts';

const MIB = 1024 * 1024;

describe('volumes in a directory pool', () => {
  let libvirtd: PrivateLibvirtd;
  let connection: Connection;
  let folder: string;

  before(async () => {
    libvirtd = await startPrivateLibvirtd();
    connection = await Connection.open(libvirtd.uri);
    folder = join(libvirtd.root, 'images');
    await pools.definePool(connection, pools.poolXml({ name: 'images', targetPath: folder }));
    await pools.buildPool(connection, 'images');
    await pools.startPool(connection, 'images');
  });

  after(async () => {
    await connection.close();
    await libvirtd.stop();
  });

  it('are in a pool that was defined, built and started', async () => {
    await pools.setPoolAutostart(connection, 'images', true);
    const { xml: _, uuid: __, ...pool } = await pools.lookupPool(connection, 'images');
    expect(pool).to.deep.equal({ name: 'images', type: 'dir', isActive: true, targetPath: folder, sourceDevices: [] });
    expect((await libvirtd.virsh('pool-info', 'images')).replaceAll(/ +/g, ' ')).to.contain('Autostart: yes');
    expect((await stat(folder)).mode & 0o777).to.equal(0o711);
  });

  it('come back as the bytes that were uploaded', async () => {
    const bytes = randomBytes(5 * MIB + 13);
    await createRaw('round-trip.img', bytes.length);
    await upload('round-trip.img', bytes);
    expect(await download('round-trip.img')).to.deep.equal(bytes);
    expect(await download('round-trip.img', { offset: 100n, length: 50n })).to.deep.equal(bytes.subarray(100, 150));
    expect(await download('round-trip.img', { offset: BigInt(5 * MIB) })).to.deep.equal(bytes.subarray(5 * MIB));
  });

  it('can be written from the middle on', async () => {
    await createRaw('resumed.img', 8);
    await upload('resumed.img', Buffer.from('AAAABBBB'));
    const sink = await openUpload(connection, 'images', 'resumed.img', { offset: 4n, length: 4n });
    await sink.write(Buffer.from('CCCC'));
    await sink.finish();
    expect((await download('resumed.img')).toString()).to.equal('AAAACCCC');
  });

  it('can be abandoned during an upload, any number of times, without harm to the connection', async () => {
    await createRaw('abandoned.img', 4 * MIB);
    for (let i = 0; i < 8; i++) {
      const sink = await openUpload(connection, 'images', 'abandoned.img', { offset: 0n, length: BigInt(4 * MIB) });
      const writing = rejection(sink.write(new Uint8Array(3 * MIB)));
      await Promise.all([sink.abort(), sink.abort()]);
      expect(await writing).to.be.instanceOf(LibvirtError);
      expect(await rejection(sink.write(new Uint8Array(1)))).to.be.instanceOf(LibvirtError);
      expect(await rejection(sink.finish())).to.be.instanceOf(LibvirtError);
      await sink.abort();
    }
    await pools.refreshPool(connection, 'images');
    expect(await volumes.lookupVolume(connection, 'images', 'abandoned.img')).to.include({ type: 'file' });
  });

  it('take no more than was announced', async () => {
    await createRaw('small.img', 10);
    const sink = await openUpload(connection, 'images', 'small.img', { offset: 0n, length: 10n });
    await sink.write(new Uint8Array(10));
    const error = await rejection(sink.write(new Uint8Array(1)));
    await sink.abort();
    expect(error).to.be.instanceOf(LibvirtError);
    expect(error).to.have.property(
      'message',
      "cannot write to volume 'small.img' in pool 'images': more than 10 bytes came",
    );
  });

  it('give the lane back when an upload or download cannot start', async () => {
    for (let i = 0; i < 8; i++) {
      const range = { offset: 0n, length: 1n };
      expect(isNoStorageVolume(await rejection(openUpload(connection, 'images', 'absent', range)))).to.equal(true);
      expect(isNoStorageVolume(await rejection(downloadAll('absent')))).to.equal(true);
    }
  });

  it('can be left in the middle of a download', async () => {
    for (let i = 0; i < 8; i++) {
      for await (const chunk of downloadVolume(connection, 'images', 'abandoned.img')) {
        expect(chunk.length).to.be.above(0);
        break;
      }
    }
    expect(await volumes.lookupVolume(connection, 'images', 'abandoned.img')).to.include({ type: 'file' });
  });

  it('can be made from another volume', async () => {
    await createRaw('source.img', 4);
    await upload('source.img', Buffer.from('base'));
    const xml = volumes.volumeXml({ name: 'copy.img', capacityBytes: 4n, format: 'raw' });
    await volumes.createVolumeFrom(connection, 'images', xml, { pool: 'images', name: 'source.img' });
    expect((await download('copy.img')).toString()).to.equal('base');
  });

  it('show what they stand on', async () => {
    const base = await volumes.createVolume(
      connection,
      'images',
      volumes.volumeXml({ name: 'base.qcow2', capacityBytes: BigInt(MIB), format: 'qcow2' }),
    );
    const overlay = volumes.volumeXml({
      name: 'overlay.qcow2',
      capacityBytes: BigInt(MIB),
      format: 'qcow2',
      backing: { path: base.path, format: 'qcow2' },
    });
    const {
      xml: _,
      modifiedAtMs,
      allocationBytes,
      lengthBytes,
      ...volume
    } = await volumes.createVolume(connection, 'images', overlay);
    const { uid, gid, mode } = await stat(join(folder, 'overlay.qcow2'));
    expect(volume).to.deep.equal({
      pool: 'images',
      name: 'overlay.qcow2',
      isNameExact: true,
      key: join(folder, 'overlay.qcow2'),
      path: join(folder, 'overlay.qcow2'),
      type: 'file',
      format: 'qcow2',
      capacityBytes: BigInt(MIB),
      backingPath: base.path,
      permissions: { owner: uid, group: gid, mode: `0${(mode & 0o777).toString(8)}` },
    });
    const file = await stat(join(folder, 'overlay.qcow2'));
    expect({ modifiedAtMs, allocationBytes, lengthBytes }).to.deep.equal({
      modifiedAtMs: Math.trunc(file.mtimeMs),
      allocationBytes: BigInt(file.blocks * 512),
      lengthBytes: BigInt(file.size),
    });
  });

  it('are listed whole, however odd their names, and only the undescribable as unreadable', async () => {
    const odd = ['a & <b>.img', ' blank ', 'tab\there', 'line\nbreak', 'carriage\r\nreturn', 'grüße', '&amp;', "it's"];
    for (const name of odd) await writeFile(join(folder, name), '');
    await writeFile(Buffer.concat([Buffer.from(`${folder}/bytes-`), Buffer.from([0xff])]), '');
    await createQcow2(join(folder, 'orphan.qcow2'), { sizeBytes: MIB, backing: '/gone/base.qcow2' });
    await qemuImg('create', '-q', '-f', 'qed', '-u', '-b', '/gone', '-F', 'qcow2', join(folder, 'overlay.qed'), '1M');
    for (const name of [...odd, 'orphan.qcow2', 'overlay.qed']) await libvirtd.give(join(folder, name));
    await pools.refreshPool(connection, 'images');
    await rm(join(folder, 'copy.img'));

    const { volumes: found, unreadable } = await volumes.listVolumes(connection, 'images');
    expect(unreadable.map(({ name, error }) => [name, error instanceof LibvirtError])).to.deep.equal([
      ['overlay.qed', true],
    ]);
    expect(found.map((volume) => volume.name)).to.include.members(odd);
    expect(found.map((volume) => volume.name)).not.to.include('copy.img');
    expect(found.filter((volume) => !volume.isNameExact).map((volume) => volume.name)).to.deep.equal(['bytes-\uFFFD']);
    expect(found.find((volume) => volume.name === 'orphan.qcow2')).to.include({ backingPath: '/gone/base.qcow2' });
    for (const name of odd) {
      expect(await volumes.lookupVolume(connection, 'images', name)).to.include({ name, key: join(folder, name) });
    }
  });

  it('are all listed once when the lanes share a large pool', async () => {
    const large = await libvirtd.poolDir('large');
    const names = Array.from({ length: 500 }, (_, i) => `v${String(i).padStart(3, '0')}.img`);
    await Promise.all(names.map((name) => writeFile(join(large, name), name, { mode: 0o644 })));
    await pools.definePool(connection, pools.poolXml({ name: 'large', targetPath: large }));
    await pools.startPool(connection, 'large');
    const { volumes: found, unreadable } = await volumes.listVolumes(connection, 'large');
    expect([found.map((volume) => volume.name).sort(), unreadable]).to.deep.equal([names, []]);
  });

  it('are deleted only when they are files or block devices', async () => {
    await mkdir(join(folder, 'directory'));
    await pools.refreshPool(connection, 'images');
    const error = await rejection(volumes.deleteVolume(connection, 'images', 'directory'));
    expect(error)
      .to.be.instanceOf(LibvirtError)
      .with.property('message', "cannot delete volume 'directory' in pool 'images': its type is dir");
    await volumes.deleteVolume(connection, 'images', 'base.qcow2');
    expect(isNoStorageVolume(await rejection(volumes.lookupVolume(connection, 'images', 'base.qcow2')))).to.equal(true);
    expect(await rejection(stat(join(folder, 'base.qcow2')))).to.include({ code: 'ENOENT' });
  });

  it('are not deleted by a name that only resembles theirs', async () => {
    await writeFile(join(folder, 'bytes-\uFFFD'), 'another file');
    await pools.refreshPool(connection, 'images');
    expect(await rejection(volumes.deleteVolume(connection, 'images', 'bytes-\uFFFD'))).to.be.instanceOf(LibvirtError);
    expect((await stat(join(folder, 'bytes-\uFFFD'))).size).to.equal(12);
  });

  it('can be copied while their pool is refreshed', async () => {
    const name = 'large.img';
    await createRaw(name, 64 * MIB);
    const xml = volumes.volumeXml({ name: 'large-copy.img', capacityBytes: BigInt(64 * MIB), format: 'raw' });
    const copying = volumes.createVolumeFrom(connection, 'images', xml, { pool: 'images', name });
    await Promise.all([copying, pools.refreshPool(connection, 'images'), pools.refreshPool(connection, 'images')]);
    expect(await volumes.lookupVolume(connection, 'images', 'large-copy.img')).to.include({ type: 'file' });
  });

  it('are unknown, not absent, while the pool is inactive', async () => {
    await pools.stopPool(connection, 'images');
    expect(await pools.lookupPool(connection, 'images')).to.include({ isActive: false });
    const lookup = await rejection(volumes.lookupVolume(connection, 'images', 'source.img'));
    const listing = await rejection(volumes.listVolumes(connection, 'images'));
    expect([lookup, listing].map((error) => error instanceof LibvirtError && error.virErrorNumber)).to.deep.equal([
      55, 55,
    ]);
    await pools.startPool(connection, 'images');
  });

  async function createRaw(name: string, sizeBytes: number): Promise<void> {
    const xml = volumes.volumeXml({ name, capacityBytes: BigInt(sizeBytes), format: 'raw' });
    await volumes.createVolume(connection, 'images', xml);
  }

  async function upload(name: string, bytes: Uint8Array): Promise<void> {
    const sink = await openUpload(connection, 'images', name, { offset: 0n, length: BigInt(bytes.length) });
    await sink.write(bytes);
    await sink.finish();
  }

  async function downloadAll(name: string, range = {}): Promise<Uint8Array[]> {
    const chunks = [];
    for await (const chunk of downloadVolume(connection, 'images', name, range)) chunks.push(chunk);
    return chunks;
  }

  async function download(name: string, range = {}): Promise<Buffer> {
    return Buffer.concat(await downloadAll(name, range));
  }
});
