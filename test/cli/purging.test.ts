import { expect } from 'chai';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { World } from '../support/world.ts';

const POSTRM = new URL('../../../packaging/debian/postrm', import.meta.url);

describe('purging the Debian package', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());

  it('removes by name all that the program writes into its state directory', async () => {
    await world.publishRelease('noble', '20240423');
    expect(await world.sync()).to.include({ status: 0 });
    const { fingerprint } = world.key;
    await world.poolkeeper('keyring', 'add', world.keyring, '--fingerprint', fingerprint);
    const named = [...(await readFile(POSTRM, 'utf8')).matchAll(/"?\$STATE"?\/([a-z.-]+)/g)].map(([, name]) => name);
    // Only `forget` writes the last one.
    const written = [...(await readdir(join(world.root, 'state'))), 'forgotten'];
    expect([...new Set(named)]).to.have.members(written);
  });
});
