import { expect } from 'chai';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonLines } from '../support/json-lines.ts';
import { createQcow2 } from '../support/qemu.ts';
import { World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const DAYS = ['20240401', '20240402', '20240403', '20240404', '20240405'] as const;

describe('poolkeeper usage', () => {
  let world: World;
  const volume = (day: string): string => world.volumeName('noble', day);

  /** web1 stands on the oldest image; web2 and web3 on the next; then come one that waits, one that is locked, and the newest. */
  before(async () => {
    world = await World.start();
    await world.createPool();
    for (const day of DAYS) {
      await world.publishRelease('noble', day);
      await world.sync('--keep-versions', day === '20240404' ? '1' : '9', '--no-gc');
    }
    const disk = join(world.poolPath, 'web1.qcow2');
    await createQcow2(disk, { sizeBytes: 2 ** 20, backing: volume('20240401') });
    await world.libvirtd.give(disk);
    await world.define('web1', { path: disk });
    for (const name of ['web2', 'web3']) await world.define(name, { pool: 'uvtool', volume: volume('20240402') });
    await world.poolkeeper('lock', volume('20240404'), '--reason', 'audit');
  });
  after(() => world.stop());

  /** What a table says, without the width of its columns and the sizes, which file systems decide on. */
  async function usage(...words: readonly string[]): Promise<readonly string[]> {
    const { status, stdout, stderr } = await world.poolkeeper('usage', ...words);
    expect([status, stderr]).to.deep.equal([0, '']);
    return stdout
      .replaceAll(/[\d.]+ [KM]iB/g, 'SIZE')
      .replaceAll(`${NOBLE} 2024`, '')
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().replaceAll(/ {2,}/g, ' | '));
  }

  it('shows for whom the bytes of each image are there, and what could be reclaimed', async () => {
    expect(await usage()).to.deep.equal([
      'IMAGE | EXCLUSIVE | SHARED | RECLAIMABLE | UNUSED | NOTE',
      '0401 | SIZE | - | - | - | domain web1',
      '0402 | - | SIZE | - | - | domain web2, domain web3',
      '0403 | - | - | SIZE | -',
      "0404 | SIZE | - | - | - | the administrator's lock (audit); the administrator locked it",
      '0405 | - | - | - | SIZE | it is offered to new domains',
      '5 image(s) take up SIZE: SIZE for one user, SIZE shared, SIZE reclaimable, SIZE unused but held',
    ]);
  });

  it('shows what would be freed without each domain', async () => {
    expect(await usage('--by', 'domain')).to.deep.equal([
      'USER | NEEDS | ALONE | FREES | IMAGES',
      'domain web1 | SIZE | SIZE | SIZE | 0401',
      'domain web2 | SIZE | 0 B | 0 B',
      'domain web3 | SIZE | 0 B | 0 B',
      "the administrator's lock (audit) | SIZE | SIZE | 0 B",
      '5 image(s) take up SIZE: SIZE for one user, SIZE shared, SIZE reclaimable, SIZE unused but held',
    ]);
  });

  it('is about one image if one is named', async () => {
    expect(await usage(NOBLE, '20240402')).to.deep.equal([
      'IMAGE | EXCLUSIVE | SHARED | RECLAIMABLE | UNUSED | NOTE',
      '0402 | - | SIZE | - | - | domain web2, domain web3',
    ]);
    expect(await usage('--by', 'domain', volume('20240401'))).to.deep.equal([
      'USER | NEEDS | ALONE | FREES | IMAGES',
      'domain web1 | SIZE | SIZE | SIZE | 0401',
    ]);
    expect((await world.poolkeeper('usage', 'plucky')).status).to.equal(4);
    expect((await world.poolkeeper('usage', NOBLE)).status).to.equal(2);
  });

  it('says the same in JSON, and sums that agree', async () => {
    const lines = jsonLines((await world.poolkeeper('usage', '--json')).stdout);
    const images = lines.filter(({ message_type: type }) => type === 'image_usage');
    const [totals] = lines.filter(({ message_type: type }) => type === 'usage_totals');
    const bytes = (kind?: string): number =>
      images
        .filter((image) => kind === undefined || image['kind'] === kind)
        .reduce((sum, image) => sum + Number(image['allocation_bytes']), 0);
    expect(images.map(({ version, kind, users, held }) => [version, kind, users, held])).to.deep.equal([
      ['20240401', 'exclusive', ['domain web1'], undefined],
      ['20240402', 'shared', ['domain web2', 'domain web3'], undefined],
      ['20240403', 'reclaimable', [], undefined],
      ['20240404', 'exclusive', ["the administrator's lock (audit)"], 'locked'],
      ['20240405', 'held', [], 'offered'],
    ]);
    expect(totals).to.deep.equal({
      message_type: 'usage_totals',
      images: 5,
      allocation_bytes: bytes(),
      exclusive_bytes: bytes('exclusive'),
      shared_bytes: bytes('shared'),
      reclaimable_bytes: bytes('reclaimable'),
      held_bytes: bytes('held'),
      unseen_bytes: 0,
    });
  });

  it('promises what gc keeps once the domain and its disk are gone', async () => {
    const [web1 = {}] = jsonLines((await world.poolkeeper('usage', '--by', 'domain', '--json')).stdout);
    const before = await world.volumes();
    await world.libvirtd.virsh('undefine', 'web1');
    await rm(join(world.poolPath, 'web1.qcow2'));
    const atOnce = ['--grace', '0', '--min-age', '0', '--allow-mass-removal'];
    const { status } = await world.poolkeeper('gc', '--yes', '--keep-versions', '1', ...atOnce);
    expect(status).to.equal(0);
    const after = await world.volumes();
    const gone = before.filter((name) => !after.includes(name) && name !== 'web1.qcow2');
    expect(gone).to.deep.equal([...(web1['freed_volumes'] as readonly string[]), volume('20240403')]);
  });
});
