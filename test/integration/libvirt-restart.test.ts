import { expect } from 'chai';
import { Connection } from '../../src/libvirt/connection.ts';
import { isConnectionLost } from '../../src/libvirt/error-codes.ts';
import { definePool, listPools, poolXml } from '../../src/libvirt/storage-pool.ts';
import { type PrivateLibvirtd, startPrivateLibvirtd } from '../support/private-libvirtd.ts';
import { rejection } from '../support/rejection.ts';

describe('a connection whose libvirtd is restarted', () => {
  let libvirtd: PrivateLibvirtd;
  let connection: Connection;

  before(async () => {
    libvirtd = await startPrivateLibvirtd();
    connection = await Connection.open(libvirtd.uri);
    await definePool(connection, poolXml({ name: 'images', targetPath: libvirtd.root }));
  });
  after(async () => {
    await connection.close();
    await libvirtd.stop();
  });

  it('tells by the error that it is lost, and is found again by the next call', async () => {
    const lanes = await Promise.all([connection.acquire(), connection.acquire()]);
    for (const lane of lanes) connection.release(lane);
    await libvirtd.kill9();
    const errors = [await rejection(listPools(connection)), await rejection(listPools(connection))];
    expect(errors.map(isConnectionLost)).to.deep.equal([true, true]);
    await libvirtd.start();
    expect((await listPools(connection)).map(({ name }) => name)).to.deep.equal(['images']);
  });

  it('serves those who wait for a lane', async () => {
    const narrow = await Connection.open(libvirtd.uri, { lanes: 1 });
    const lane = await narrow.acquire();
    await libvirtd.restart();
    const lost = rejection(lane.call('list pools', lane.native.connectListAllStoragePools, lane.handle, 0));
    const waiting = listPools(narrow);
    expect(isConnectionLost(await lost)).to.equal(true);
    narrow.release(lane);
    expect((await waiting).map(({ name }) => name)).to.deep.equal(['images']);
    await narrow.close();
  });
});
