import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stateOf } from '../support/aftermath.ts';
import { createQcow2, qemuImg } from '../support/qemu.ts';
import { type Run, World } from '../support/world.ts';

const run = promisify(execFile);
const NOW = ['--yes', '--grace', '0', '--min-age', '0', '--allow-mass-removal'];
const OLD = '20240401';
const NEW = '20240402';

describe('what is deleted for good, or because of a name that is found elsewhere', () => {
  let world: World;
  let old: string;
  let oldPath: string;
  before(async () => {
    world = await World.start();
    await world.createPool();
    old = world.volumeName('noble', OLD);
    oldPath = world.volumePath('noble', OLD);
  });
  after(() => world.stop());
  beforeEach(async () => {
    await world.reset();
    await world.holdVersions('noble', [OLD, NEW]);
  });

  it('stays in the trash under gc --empty-trash while a domain names it there, and that is said [B4]', async () => {
    await gc();
    const file = await trashedFile();
    await world.define('web1', { path: file });
    const { status, stderr } = await world.poolkeeper('gc', '--empty-trash', '--yes');
    expect(status).to.equal(16);
    expect(stderr).to.include(`something names ${file}`);
    expect(existsSync(file)).to.equal(true);
    await world.libvirtd.virsh('undefine', 'web1');
    expect((await world.poolkeeper('gc', '--empty-trash', '--yes')).status).to.equal(0);
    expect(existsSync(file)).to.equal(false);
  });

  for (const [title, need] of [
    ['by its former path', () => oldPath],
    ['where it lies now', (file: string) => file],
    [
      'as a base, where it lies now',
      async (file: string) => {
        const overlay = join(world.root, 'web1.qcow2');
        await createQcow2(overlay, { sizeBytes: 2 ** 20, backing: file });
        return overlay;
      },
    ],
  ] as const)
    it(`stays in the trash under delete --forever while a domain names it ${title}, unless forced [B4]`, async () => {
      await gc();
      const file = await trashedFile();
      await world.define('web1', { path: await need(file) });
      const words = ['delete', '--now', '--forever', '--yes', old];
      const refused = await world.poolkeeper(...words);
      expect(refused.status).to.equal(16);
      expect(refused.stderr).to.match(/in the trash: .* names it at /);
      expect(existsSync(file)).to.equal(true);
      const forced = await world.poolkeeper(...words, '--force-in-use', '--name', old);
      expect(forced.status, forced.stderr).to.equal(0);
      expect(forced.stderr).to.match(/in the trash is not spared by --force-in-use: .* names it at /);
      expect([existsSync(file), existsSync(oldPath)]).to.deep.equal([false, false]);
    });

  it('is refused with --force-in-use while a lease cannot be read, not even whose it is [B4]', async () => {
    await world.define('web1', { path: oldPath });
    const leases = join(await stateOf(world), 'leases');
    await mkdir(leases, { recursive: true });
    const damaged = join(leases, '01234567.json');
    const words = ['delete', '--now', '--forever', '--force-in-use', '--name', old, old];
    await writeFile(damaged, '');
    expect((await world.poolkeeper(...words)).status).to.equal(16);
    expect((await world.poolkeeper('purge', '--yes', '--force-in-use')).status).not.to.equal(0);
    expect(existsSync(oldPath)).to.equal(true);
    await unlink(damaged);
    expect((await world.poolkeeper(...words)).status).to.equal(0);
    expect(existsSync(oldPath)).to.equal(false);
  });

  it('does not go while the base of a domain is not there by the path that the domain says, whatever other paths lead to [D4]', async () => {
    const vms = join(world.root, 'vms');
    await mkdir(vms, { recursive: true });
    const disk = join(vms, 'a.qcow2');
    const middle = join(vms, 'middle.qcow2');
    await createQcow2(middle, { sizeBytes: 2 ** 20, backing: oldPath });
    await createQcow2(disk, { sizeBytes: 2 ** 20, backing: 'middle.qcow2' });
    await rename(middle, join(world.root, 'hidden'));
    await world.define('web1', { path: disk });
    const [link, other] = [join(world.poolPath, 'a.qcow2'), join(world.poolPath, 'middle.qcow2')];
    await symlink(disk, link);
    await createQcow2(other, { sizeBytes: 2 ** 20 });
    await world.libvirtd.give(other);
    expect((await gc()).status).to.equal(13);
    expect(existsSync(oldPath)).to.equal(true);
    // The twin: the domain opens it by the link, from whose folder the name leads somewhere.
    await world.libvirtd.virsh('undefine', 'web1');
    await world.define('web1', { path: link });
    expect((await gc()).status).to.equal(0);
    expect(existsSync(oldPath)).to.equal(false);
    for (const path of [link, other, vms]) await rm(path, { recursive: true });
  });

  for (const format of ['raw', 'qcow2'])
    it(`comes back when a domain names it as ${format} by a bind mount of the pool [B2]`, async () => {
      const alias = join(world.root, 'alias');
      await mkdir(alias, { recursive: true });
      await run('mount', ['--bind', world.poolPath, alias]);
      try {
        await gc();
        const file = await trashedFile();
        await world.define('web1', { path: join(alias, old), format });
        const { status, stdout } = await gc('--trash-for', '0');
        expect(status).to.equal(0);
        expect(stdout).to.match(/^took image \S+ 20240401 out of the trash, since /m);
        expect([existsSync(file), existsSync(oldPath)]).to.deep.equal([false, true]);
      } finally {
        await run('umount', [alias]);
      }
    });

  it('comes back when a domain names it by a link outside of the pool, whatever the format [B2]', async () => {
    const link = join(world.root, 'link');
    await symlink(oldPath, link);
    await gc();
    const file = await trashedFile();
    await world.define('web1', { path: link, format: 'raw' });
    expect((await gc('--trash-for', '0')).status).to.equal(0);
    expect([existsSync(file), existsSync(oldPath)]).to.deep.equal([false, true]);
    await unlink(link);
  });

  it('comes back as it was last, where several of its name lie in the trash [B2]', async () => {
    const path = join(world.poolPath, 'web1.qcow2');
    for (const sizeBytes of [2 ** 20, 2 ** 21]) {
      await createQcow2(path, { sizeBytes });
      await world.libvirtd.give(path);
      const orphans = ['orphans', '--delete', '--yes', '--min-age', '0', '--allow-mass-removal'];
      expect((await world.poolkeeper(...orphans)).status).to.equal(0);
    }
    await world.define('web1', { path });
    const { stderr } = await gc();
    expect(JSON.parse(await qemuImg('info', '--output=json', path))).to.include({ 'virtual-size': 2 ** 21 });
    expect(stderr).to.equal('');
    expect((await world.trash()).map(({ volume }) => volume)).to.have.members(['web1.qcow2', old]);
    await world.libvirtd.virsh('undefine', 'web1');
    await unlink(path);
  });

  async function trashedFile(): Promise<string> {
    return (await world.trash())[0]?.['file'] ?? '';
  }

  async function gc(...options: readonly string[]): Promise<Run> {
    return world.poolkeeper('gc', ...NOW, ...options);
  }
});
