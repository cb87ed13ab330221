import { expect } from 'chai';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inParallel } from '../../src/core/in-parallel.ts';
import { passDays } from '../support/days.ts';
import { addManagedImages, type ManagedImage, thoseThere, writeImage } from '../support/managed-images.ts';
import { type Run, World } from '../support/world.ts';

const DOMAINS = 1000;
/** The nights that are looked at, counted from the first. */
const NIGHTS = [0, 6, 7];

/** What one name that leads to nothing costs those who keep many domains. */
describe(`a host with ${DOMAINS} domains, one of them stale`, () => {
  let world: World;
  let base: ManagedImage;
  let gone: string;

  before(async function () {
    this.timeout(240_000);
    world = await World.start();
    await world.createPool();
    await world.publishRelease('noble', '20240401');
    [base = expect.fail('no image')] = await addManagedImages(world, [{ product: 'base' }]);
    const vms = join(world.libvirtd.root, 'vms');
    await mkdir(vms);
    gone = join(vms, 'd500.qcow2');
    // Read by the daemon when it starts: to define them one by one takes as long as all of this suite.
    const folder = join(world.libvirtd.root, 'config/libvirt/qemu');
    await mkdir(folder, { recursive: true });
    await world.libvirtd.give(folder);
    await inParallel(
      Array.from({ length: DOMAINS }, (_, index) => `d${index}`),
      8,
      async (name) => {
        const path = join(vms, `${name}.qcow2`);
        if (path !== gone) await writeImage(world, path, base.path);
        await writeFile(join(folder, `${name}.xml`), definition(name, path));
        await world.libvirtd.give(join(folder, `${name}.xml`));
      },
    );
    await world.libvirtd.restart();
    await world.libvirtd.virsh('pool-start uvtool').catch(() => '');
    const names = (await world.libvirtd.virsh('list', '--all', '--name')).split('\n').filter((name) => name !== '');
    expect(names).to.have.lengthOf(DOMAINS);
  });
  after(() => world.stop());

  /** A run as the timer starts it: without a terminal, with every default. */
  function night(...words: readonly string[]): Promise<Run> {
    return world.poolkeeper('sync', '--quiet', '--source', world.server.url, '--keyring', world.keyring, ...words);
  }

  it('is told of the name on the first night and weekly, and ends with status 0 as long as nothing is held back [D9]', async function () {
    this.timeout(240_000);
    const told: number[] = [];
    let today = 0;
    for (const day of NIGHTS) {
      if (day > today) await passDays(world, day - today);
      today = day;
      const { status, stderr } = await night();
      expect(status, stderr).to.equal(0);
      if (stderr.includes(gone)) told.push(day);
    }
    expect(told).to.deep.equal([0, 7]);
  });

  it('ends with status 13 when something is held back, and one command answers for all that is missing [D7, D9]', async function () {
    this.timeout(240_000);
    const [garbage = expect.fail('no image')] = await addManagedImages(world, [{ product: 'garbage' }]);
    const held = await night('--allow-mass-removal');
    expect(held.status, held.stderr).to.equal(13);
    expect(await thoseThere([garbage, base])).to.deep.equal([garbage, base]);
    const forgot = await world.poolkeeper('forget', '--missing', '--yes', '--reason', 'removed years ago');
    expect(forgot.status, forgot.stderr).to.equal(0);
    expect(forgot.stdout).to.include(gone);
    const freed = await night('--allow-mass-removal');
    expect(freed.status, freed.stderr).to.equal(0);
    expect(await thoseThere([garbage, base])).to.deep.equal([base]);
  });

  it('keeps the image below all others, which nothing but their headers names [D4 twin]', async () => {
    const { stdout } = await world.poolkeeper('why', base.volumeName);
    expect(stdout).to.include('d999');
  });
});

function definition(name: string, path: string): string {
  const number = Number(name.slice(1)).toString(16).padStart(12, '0');
  return [
    `<domain type='qemu'><name>${name}</name><uuid>6ba7b810-9dad-41d1-80b5-${number}</uuid>`,
    "<memory unit='KiB'>16384</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><devices>",
    `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${path}'/><target dev='vda' bus='virtio'/></disk>`,
    "<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>",
  ].join('\n');
}
