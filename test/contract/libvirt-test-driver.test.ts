import { expect } from 'chai';
import { resolve } from 'node:path';
import { LibvirtError } from '../../src/errors.ts';
import { Connection } from '../../src/libvirt/connection.ts';
import { listDomainDocuments } from '../../src/libvirt/domain.ts';
import { isNoStoragePool, isNoStorageVolume } from '../../src/libvirt/error-codes.ts';
import {
  listPools,
  lookupPool,
  poolSpace,
  poolXml,
  definePool,
  startPool,
  stopPool,
  undefinePool,
} from '../../src/libvirt/storage-pool.ts';
import * as volumes from '../../src/libvirt/volume.ts';
import { rejection } from '../support/rejection.ts';

const URI = `test://${resolve('testdata/libvirt/node.xml')}`;

describe('libvirt adapter on test:///', () => {
  let connection: Connection;

  beforeEach(async () => {
    connection = await Connection.open(URI);
  });

  afterEach(() => connection.close());

  it('tells its URI and keeps to one lane', () => {
    expect([connection.uri, connection.laneLimit]).to.deep.equal([URI, 1]);
  });

  it('lists and looks up pools', async () => {
    const [pool, ...others] = await listPools(connection);
    expect(others).to.deep.equal([]);
    expect(pool).to.deep.include({
      name: 'images',
      uuid: '33333333-3333-4333-8333-333333333333',
      type: 'dir',
      isActive: true,
      targetPath: '/srv/images',
      sourceDevices: [],
    });
    expect(await lookupPool(connection, 'images')).to.deep.equal(pool);
    expect((await poolSpace(connection, 'images')).capacityBytes).to.equal(107_374_182_400n);
    expect(isNoStoragePool(await rejection(lookupPool(connection, 'absent')))).to.equal(true);
  });

  it('defines, starts, stops and undefines a pool', async () => {
    await definePool(connection, poolXml({ name: 'new & "odd"', targetPath: '/srv/new' }));
    expect(await lookupPool(connection, 'new & "odd"')).to.include({ isActive: false, targetPath: '/srv/new' });
    await startPool(connection, 'new & "odd"');
    expect(await lookupPool(connection, 'new & "odd"')).to.include({ isActive: true });
    await stopPool(connection, 'new & "odd"');
    await undefinePool(connection, 'new & "odd"');
    expect((await listPools(connection)).map((pool) => pool.name)).to.deep.equal(['images']);
  });

  it('describes volumes', async () => {
    const { volumes: found, unreadable } = await volumes.listVolumes(connection, 'images');
    expect(unreadable).to.deep.equal([]);
    expect(found.map((volume) => volume.xml).filter((xml) => !xml.startsWith('<volume'))).to.deep.equal([]);
    const described = found.map((volume) => ({ ...volume, xml: '' }));
    expect(described.sort((a, b) => a.name.localeCompare(b.name))).to.deep.equal([
      {
        pool: 'images',
        name: 'noble.img',
        isNameExact: true,
        key: '/srv/images/noble.img',
        path: '/srv/images/noble.img',
        type: 'file',
        format: 'qcow2',
        capacityBytes: 2_147_483_648n,
        allocationBytes: 524_288n,
        lengthBytes: undefined,
        modifiedAtMs: undefined,
        permissions: undefined,
        backingPath: undefined,
        xml: '',
      },
      {
        pool: 'images',
        name: 'web1.qcow2',
        isNameExact: true,
        key: '/srv/images/web1.qcow2',
        path: '/srv/images/web1.qcow2',
        type: 'file',
        format: 'qcow2',
        capacityBytes: 4_294_967_296n,
        allocationBytes: 65_536n,
        lengthBytes: undefined,
        modifiedAtMs: undefined,
        permissions: undefined,
        backingPath: '/srv/images/noble.img',
        xml: '',
      },
    ]);
  });

  it('finds a volume by name, path and key', async () => {
    const volume = await volumes.lookupVolume(connection, 'images', 'noble.img');
    expect(await volumes.lookupVolumeByPath(connection, '/srv/images/noble.img')).to.deep.equal(volume);
    expect(await volumes.lookupVolumeByKey(connection, '/srv/images/noble.img')).to.deep.equal(volume);
  });

  it('says that a volume is absent only by its number', async () => {
    const error = await rejection(volumes.lookupVolume(connection, 'images', 'absent.img'));
    expect(isNoStorageVolume(error)).to.equal(true);
    expect(error).to.be.instanceOf(LibvirtError).and.to.include({ virErrorNumber: 50, virErrorDomain: 12 });
    expect(error).to.have.property('message').that.contains("cannot look up volume 'absent.img' in pool 'images': ");
    expect(isNoStorageVolume(await rejection(volumes.lookupVolume(connection, 'absent', 'noble.img')))).to.equal(false);
  });

  it('does not cut a name at a NUL character', async () => {
    const error = await rejection(volumes.lookupVolume(connection, 'images', 'noble.img\0absent'));
    expect(error).to.be.instanceOf(LibvirtError);
    expect(isNoStorageVolume(error)).to.equal(false);
  });

  it('creates and deletes volumes', async () => {
    const xml = volumes.volumeXml({ name: 'new.img', capacityBytes: 1024n, format: 'raw' });
    expect(await volumes.createVolume(connection, 'images', xml)).to.include({ name: 'new.img', capacityBytes: 1024n });
    const source = { pool: 'images', name: 'new.img' };
    const copy = volumes.volumeXml({ name: 'copy.img', capacityBytes: 1024n, format: 'raw' });
    expect(await volumes.createVolumeFrom(connection, 'images', copy, source)).to.include({ name: 'copy.img' });
    for (const name of ['new.img', 'copy.img']) await volumes.deleteVolume(connection, 'images', name);
    const { volumes: left } = await volumes.listVolumes(connection, 'images');
    expect(left.map((volume) => volume.name).sort()).to.deep.equal(['noble.img', 'web1.qcow2']);
  });

  it('shows every document of running and stopped domains', async () => {
    const { domains, blindSpots } = await listDomainDocuments(connection);
    expect(blindSpots).to.deep.equal([]);
    expect(
      domains
        .map(({ documents, ...rest }) => ({ ...rest, documents: documents.map((document) => document.name) }))
        .sort((a, b) => a.name.localeCompare(b.name)),
    ).to.deep.equal([
      {
        name: 'db1',
        uuid: '22222222-2222-4222-8222-222222222222',
        isActive: false,
        documents: ['domain db1, inactive XML'],
      },
      {
        name: 'web1',
        uuid: '11111111-1111-4111-8111-111111111111',
        isActive: true,
        documents: ['domain web1, live XML', 'domain web1, inactive XML'],
      },
    ]);
    const xml = domains.flatMap((domain) => domain.documents).filter(({ name }) => name.includes('web1'));
    for (const document of xml) expect(document.xml).to.contain('/srv/images/web1.qcow2');
  });

  it('serves many waiters in the order they came', async () => {
    const served: number[] = [];
    const waiters = Array.from({ length: 20_000 }, (_, i) => connection.run(async () => served.push(i)));
    await Promise.all(waiters);
    expect(served).to.deep.equal(waiters.map((_, i) => i));
  });

  it('gives a lane back after a failure', async () => {
    await rejection(connection.run(() => Promise.reject(new Error('of the caller'))));
    expect(await lookupPool(connection, 'images')).to.include({ name: 'images' });
  });

  it('fails those who wait or come late when it is closed, and closes once', async () => {
    let giveBack: () => void = () => undefined;
    const holding = connection.run(() => new Promise<void>((done) => (giveBack = done)));
    const waiting = rejection(lookupPool(connection, 'images'));
    await Promise.all([connection.close(), connection.close()]);
    giveBack();
    await holding;
    const late = await rejection(lookupPool(connection, 'images'));
    for (const error of [await waiting, late]) {
      expect(error)
        .to.be.instanceOf(LibvirtError)
        .with.property('message', `cannot use the connection to ${URI}: it is closed`);
    }
  });
});

describe('Connection.open', () => {
  it('says how to reach a daemon that does not answer', async () => {
    const error = await rejection(Connection.open('qemu+unix:///session?socket=/nonexistent/libvirt-sock'));
    expect(error).to.include({ virErrorNumber: 38 }).with.property('hint').that.contains('systemctl start ');
  });
});
