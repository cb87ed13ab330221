import { expect } from 'chai';
import { LibvirtError } from '../../src/errors.ts';
import { Connection } from '../../src/libvirt/connection.ts';
import { buildPool, definePool, lookupPool, poolXml, startPool } from '../../src/libvirt/storage-pool.ts';
import { lookupVolume } from '../../src/libvirt/volume.ts';
import { startPrivateLibvirtd, type PrivateLibvirtd } from '../support/private-libvirtd.ts';
import { rejection } from '../support/rejection.ts';

describe('lanes of a connection', () => {
  let libvirtd: PrivateLibvirtd;
  let connection: Connection;

  before(async () => {
    libvirtd = await startPrivateLibvirtd();
    connection = await Connection.open(libvirtd.uri);
    await definePool(connection, poolXml({ name: 'images', targetPath: await libvirtd.poolDir('images') }));
    await buildPool(connection, 'images');
    await startPool(connection, 'images');
  });

  after(async () => {
    await connection.close();
    await libvirtd.stop();
  });

  it('report each failure to the call that failed, whatever fails beside it', async () => {
    for (let round = 0; round < 200; round++) {
      const errors = await Promise.all([
        rejection(lookupPool(connection, `pool-a-${round}`)),
        rejection(lookupVolume(connection, 'images', `volume-b-${round}`)),
        rejection(lookupPool(connection, `pool-c-${round}`)),
        rejection(lookupVolume(connection, 'images', `volume-d-${round}`)),
      ]);
      expect(
        errors.map((error) => error instanceof LibvirtError && [error.virErrorNumber, error.message]),
      ).to.deep.equal([
        [49, noPool(`pool-a-${round}`)],
        [50, noVolume(`volume-b-${round}`)],
        [49, noPool(`pool-c-${round}`)],
        [50, noVolume(`volume-d-${round}`)],
      ]);
    }
  });

  it('free what they look up', async () => {
    const lookUp = async (): Promise<void> => {
      const absent = Array.from({ length: 500 }, () => rejection(lookupVolume(connection, 'images', 'absent')));
      const present = Array.from({ length: 500 }, () => lookupPool(connection, 'images'));
      await Promise.all([...absent, ...present]);
    };
    await lookUp();
    const before = process.memoryUsage().rss;
    await lookUp();
    await lookUp();
    expect(process.memoryUsage().rss - before).to.be.below(32 * 1024 * 1024);
  });

  it('fail with an error when the daemon dies, and work again on a new connection', async () => {
    const other = await startPrivateLibvirtd();
    const lost = await Connection.open(other.uri);
    await other.kill9();
    expect(await rejection(lookupPool(lost, 'images'))).to.be.instanceOf(LibvirtError);
    await lost.close();
    await other.restart();
    const again = await Connection.open(other.uri);
    expect(await rejection(lookupPool(again, 'images'))).to.include({ virErrorNumber: 49 });
    await again.close();
    await other.stop();
  });
});

function noPool(name: string): string {
  return `cannot look up storage pool '${name}': Storage pool not found: no storage pool with matching name '${name}'`;
}

function noVolume(name: string): string {
  const reason = `Storage volume not found: no storage vol with matching name '${name}'`;
  return `cannot look up volume '${name}' in pool 'images': ${reason}`;
}
