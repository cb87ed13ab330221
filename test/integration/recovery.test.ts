import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeLine } from '../../src/state/journal-lines.ts';
import { aftermathOf, openIntentsOf, stateOf } from '../support/aftermath.ts';
import { World } from '../support/world.ts';

describe('recovery', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());

  it('writes down a deletion whose run was killed right behind it', async () => {
    await publish('20240821');
    await world.sync('arch=amd64');
    await publish('20240901');
    await world.sync('--grace', '1h', 'arch=amd64');
    const volumeName = world.volumeName('noble', '20240821');
    expect((await aftermathOf(world)).records[volumeName]?.status).to.equal('pending_delete');

    const intent = { kind: 'delete', volumeName, volumeKey: world.volumePath('noble', '20240821') } as const;
    const journal = join(await stateOf(world), 'journal');
    await rm(journal);
    await appendFile(journal, encodeLine({ type: 'format' }));
    await appendFile(journal, encodeLine({ type: 'begin', id: 1, intent }));
    await world.libvirtd.virsh('vol-delete', volumeName, 'uvtool');

    expect(await world.sync('--grace', '1h', 'arch=amd64')).to.include({ status: 0, stderr: '' });
    expect((await aftermathOf(world)).records[volumeName]?.status).to.equal('deleted');
    expect(await openIntentsOf(world)).to.deep.equal([]);
  });

  it('removes what killed runs left of files they were writing', async () => {
    const stray = join(await stateOf(world), 'records', `.${randomUUID()}.tmp`);
    await appendFile(stray, '{');
    await world.sync('arch=amd64');
    expect(existsSync(stray)).to.equal(false);
  });

  async function publish(serial: string): Promise<void> {
    await world.publish([{ release: 'noble', versions: [{ serial, image: await world.image(`noble-${serial}`) }] }]);
  }
});
