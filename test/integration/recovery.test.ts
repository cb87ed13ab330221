import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { localIdentity } from '../../src/core/local-image.ts';
import { unknownOrigin } from '../../src/execute/environment.ts';
import { encodeLine } from '../../src/state/journal-lines.ts';
import { readRecords, writeRecord } from '../../src/state/records.ts';
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

  it('makes garbage of what an interrupted command had begun to fill', async () => {
    const identity = localIdentity('golden', new Date(0).toISOString());
    const volumeName = encodeMetadataName(identity);
    const root = await stateOf(world);
    const times = { createdAt: 1, statusSince: 1, lastNeededAt: 1 };
    const begun = { volumeName, identity, status: 'importing', tags: {}, times, reason: undefined } as const;
    await writeRecord(join(root, 'records'), { ...begun, provenance: unknownOrigin('poolkeeper') });
    await appendFile(join(root, 'journal'), encodeLine({ type: 'begin', id: 9, intent: { kind: 'create', ...begun } }));
    await world.libvirtd.virsh('vol-create-as', 'uvtool', volumeName, '1M');

    expect(await world.sync('--no-gc', 'arch=amd64')).to.include({ status: 0, stderr: '' });
    const { status, reason } = (await readRecords(join(root, 'records'))).records.get(volumeName) ?? {};
    expect({ status, reason }).to.deep.equal({ status: 'killed', reason: 'it was interrupted before it was complete' });
    expect(await world.sync('arch=amd64')).to.include({ status: 0, stderr: '' });
    expect((await aftermathOf(world)).records[volumeName]?.status).to.equal('deleted');
    expect(await world.volumes()).not.to.include(volumeName);
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
