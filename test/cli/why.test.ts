import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { writeSourceMemory } from '../../src/state/source-memory.ts';
import { jsonLines } from '../support/json-lines.ts';
import { createQcow2, type DomainDescription, domainXml } from '../support/qemu.ts';
import { productName } from '../support/stream-builder.ts';
import { type Run, World } from '../support/world.ts';

const PRODUCT = productName({ release: 'noble', arch: 'amd64' });
const STRAY = encodeMetadataName({ product: 'com.example:stray', version: '1' });
const HOUR_MS = 3_600_000;

describe('why', () => {
  let world: World;
  const at = (name: string): string => join(world.poolPath, name);
  const why = (...args: readonly string[]): Promise<Run> => world.poolkeeper('why', ...args);

  async function define(domain: DomainDescription): Promise<void> {
    const path = join(world.root, `${domain.name}.xml`);
    await writeFile(path, domainXml(domain));
    await world.libvirtd.virsh('define', path);
  }

  async function image(path: string, backing?: string): Promise<void> {
    await createQcow2(path, { sizeBytes: 2 ** 20, ...(backing === undefined ? {} : { backing }) });
  }

  before(async () => {
    world = await World.start();
    await world.createPool();
    const versions = [{ serial: '20240821', image: await world.image('noble-1') }];
    for (const serial of ['20240821', '20240901']) {
      if (serial === '20240901') versions.push({ serial, image: await world.image('noble-2') });
      await world.publish([{ release: 'noble', arch: 'amd64', versions }]);
      expect((await world.sync('arch=amd64', '--keep-versions', '2')).status).to.equal(0);
    }
    await image(at('l0.qcow2'));
    for (let level = 1; level <= 4; level += 1) await image(at(`l${level}.qcow2`), at(`l${level - 1}.qcow2`));
    await image(at('unused.qcow2'));
    await image(at('over.qcow2'), at('shared.qcow2'));
    await image(at('shared.qcow2'));
    await world.libvirtd.poolDir('second');
    await world.libvirtd.virsh('pool-define-as', 'second', 'dir', '--target', join(world.libvirtd.root, 'second'));
    await world.libvirtd.virsh('pool-start', 'second');
    await image(join(world.libvirtd.root, 'second/unused.qcow2'));
    await image(join(world.libvirtd.root, 'second', STRAY));
    await world.libvirtd.virsh('pool-refresh', 'second');
    await image(join(world.root, 'outside.qcow2'), at('l0.qcow2'));
    await symlink(at('l4.qcow2'), join(world.root, 'link.qcow2'));
    await define({ name: 'web1', disks: [{ path: at('unrelated.img') }, { path: at('l4.qcow2') }] });
    await define({ name: 'web2', disks: [{ pool: 'uvtool', volume: 'l1.qcow2' }] });
    await define({ name: 'web3', disks: [{ path: join(world.root, 'outside.qcow2') }] });
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
  });
  after(() => world.stop());

  it('names the domain, the disk and each link of a chain of five', async () => {
    const run = await why('l0.qcow2', '--pool', 'uvtool');
    const header = 'qcow2 header, qcow2 backing file name at offset 528';
    const link = (level: number): string => `volume uvtool/l${level}.qcow2`;
    const outside = join(world.root, 'outside.qcow2');
    expect(run).to.deep.equal({
      status: 0,
      stdout: [
        'volume uvtool/l0.qcow2',
        '  needed through 3 references',
        '  kept in any case: volume uvtool/l0.qcow2 is not managed',
        `  path: ${at('l0.qcow2')}`,
        '',
        'domain web1',
        `  needs ${link(4)} (domain web1, inactive XML, /domain/devices/disk[2]/source/@file: ${at('l4.qcow2')})`,
        `    needs ${link(3)} (${link(4)}, XML, /volume/backingStore/path: ${at('l3.qcow2')})`,
        `      needs ${link(2)} (${link(3)}, XML, /volume/backingStore/path: ${at('l2.qcow2')})`,
        `        needs ${link(1)} (${link(2)}, XML, /volume/backingStore/path: ${at('l1.qcow2')})`,
        `          needs ${link(0)} (${link(1)}, XML, /volume/backingStore/path: ${at('l0.qcow2')})`,
        '',
        'domain web2',
        `  needs ${link(1)} (domain web2, inactive XML, /domain/devices/disk/source/@volume: l1.qcow2)`,
        `    needs ${link(0)} (${link(1)}, XML, /volume/backingStore/path: ${at('l0.qcow2')})`,
        '',
        'domain web3',
        `  needs file ${outside} (domain web3, inactive XML, /domain/devices/disk/source/@file: ${outside})`,
        `    needs ${link(0)} (file ${outside}, ${header}: ${at('l0.qcow2')})`,
        '',
      ].join('\n'),
      stderr: '',
    });
  });

  it('gives the same as JSON, one object per line', async () => {
    const run = await why('l1.qcow2', '--json');
    expect(jsonLines(run.stdout).map((line) => [line['message_type'], line['root'] ?? line['subject']])).to.deep.equal([
      ['subject', 'volume uvtool/l1.qcow2'],
      ['chain', 'domain web1'],
      ['chain', 'domain web2'],
    ]);
    expect(jsonLines(run.stdout)[0]).to.deep.equal({
      message_type: 'subject',
      subject: 'volume uvtool/l1.qcow2',
      pool: 'uvtool',
      volume: 'l1.qcow2',
      path: at('l1.qcow2'),
      is_needed: true,
      is_doomed: false,
      kept_because: 'volume uvtool/l1.qcow2 is not managed',
    });
    expect(jsonLines(run.stdout)[2]).to.deep.equal({
      message_type: 'chain',
      root: 'domain web2',
      cause: 'domain web2',
      links: [
        {
          from: 'domain web2',
          to: 'volume uvtool/l1.qcow2',
          document: 'domain web2, inactive XML',
          evidence: '/domain/devices/disk/source/@volume',
          kind: 'volume',
          value: 'l1.qcow2',
        },
      ],
    });
  });

  it('says that an image is offered, or retained, and since when nothing needs it', async () => {
    const offered = await why(`${PRODUCT} 20240901`);
    const retained = await why(`${PRODUCT}:20240821`);
    for (const [run, serial, cause] of [
      [offered, '20240901', 'offered'],
      [retained, '20240821', 'retained'],
    ] as const) {
      const name = world.volumeName('noble', serial);
      expect(withoutTimes(run.stdout)).to.equal(
        [
          `volume uvtool/${name} (image ${PRODUCT} ${serial})`,
          '  nothing that was seen needs it since TIME',
          `  kept in any case: image ${PRODUCT} ${serial} is ${cause}`,
          `  path: ${world.volumePath('noble', serial)}`,
          '  status: active since TIME',
          '',
        ].join('\n'),
      );
    }
  });

  it('says that nothing needs a foreign volume, and what begins a chain without a domain', async () => {
    expect((await why('uvtool/unused.qcow2')).stdout).to.equal(
      [
        'volume uvtool/unused.qcow2',
        '  nothing that was seen needs it',
        '  kept in any case: volume uvtool/unused.qcow2 is not managed',
        `  path: ${at('unused.qcow2')}`,
        '',
      ].join('\n'),
    );
    expect((await why('shared.qcow2')).stdout).to.equal(
      [
        'volume uvtool/shared.qcow2',
        '  needed through 1 reference',
        '  kept in any case: volume uvtool/shared.qcow2 is not managed',
        `  path: ${at('shared.qcow2')}`,
        '',
        'volume uvtool/over.qcow2, which stays: volume uvtool/over.qcow2 is not managed',
        `  needs volume uvtool/shared.qcow2 (volume uvtool/over.qcow2, XML, /volume/backingStore/path: ${at('shared.qcow2')})`,
        '',
      ].join('\n'),
    );
  });

  it('says when an image that nothing needs becomes eligible, and when it goes', async () => {
    const path = join(world.libvirtd.root, 'second', STRAY);
    expect((await why('com.example:stray 1', '--grace', '0')).stdout).to.include('no source that is known here');
    const uuid = (await world.libvirtd.virsh('pool-uuid', 'second')).trim();
    const sources = join(world.root, 'state/pools', uuid, 'sources');
    await mkdir(sources, { recursive: true });
    const listed = ['com.example:stray'];
    await writeSourceMemory(sources, { url: 'https://a.test/', documents: {}, products: [], listed, acceptedAtMs: 0 });
    const changedAt = new Date(Math.floor(Date.now() / 1000) * 1000 - HOUR_MS);
    await utimes(path, changedAt, changedAt);
    const waiting = jsonLines((await why('com.example:stray 1', '--grace', '0', '--json')).stdout);
    expect(waiting).to.deep.equal([
      {
        message_type: 'subject',
        subject: `volume second/${STRAY}`,
        pool: 'second',
        volume: STRAY,
        path,
        product: 'com.example:stray',
        version: '1',
        is_needed: false,
        is_doomed: false,
        eligible_at: new Date(changedAt.getTime() + 2 * HOUR_MS).toISOString(),
      },
    ]);
    expect((await why('com.example:stray', '--grace', '0', '--min-age', '30m')).stdout).to.equal(
      [
        `volume second/${STRAY} (image com.example:stray 1)`,
        '  nothing that was seen needs it',
        '  the next sweep deletes it',
        `  path: ${path}`,
        '',
      ].join('\n'),
    );
  });

  it('finds the same by path, by another spelling and by a link', async () => {
    const byName = jsonLines((await why('l4.qcow2', '--json')).stdout);
    for (const path of [at('l4.qcow2'), `${world.poolPath}/../images//l4.qcow2`, join(world.root, 'link.qcow2')]) {
      expect(jsonLines((await why(path, '--json')).stdout)).to.deep.equal(byName);
    }
  });

  it('explains files and folders outside of pools', async () => {
    const outside = join(world.root, 'outside.qcow2');
    expect((await why(outside)).stdout).to.equal(
      [
        `file ${outside}`,
        '  needed through 1 reference',
        '  kept in any case: no active storage pool holds it',
        '',
        'domain web3',
        `  needs file ${outside} (domain web3, inactive XML, /domain/devices/disk/source/@file: ${outside})`,
        '',
      ].join('\n'),
    );
    expect((await why(world.keyring)).stdout).to.equal(
      [
        `file ${world.keyring}`,
        '  nothing that was seen needs it',
        '  kept in any case: no active storage pool holds it',
        '',
      ].join('\n'),
    );
    const gone = jsonLines((await why(at('unrelated.img'), '--json')).stdout);
    expect(gone.map((line) => line['root'] ?? line['subject'])).to.deep.equal([
      `file ${at('unrelated.img')}`,
      'domain web1',
    ]);
    expect((await why('/no/such.img')).status).to.equal(4);
  });

  it('lists what an ambiguous name may mean', async () => {
    expect(await why('unused.qcow2')).to.deep.equal({
      status: 2,
      stdout: '',
      stderr: [
        "poolkeeper: error: 'unused.qcow2' may be any of 2 volumes:",
        '  second/unused.qcow2',
        '  uvtool/unused.qcow2',
        'poolkeeper: hint: name one as POOL/VOLUME',
        '',
      ].join('\n'),
    });
    const [subject] = jsonLines((await why('unused.qcow2', '--pool', 'second', '--json')).stdout);
    expect(subject?.['subject']).to.equal('volume second/unused.qcow2');
    expect((await why(PRODUCT)).status).to.equal(2);
  });

  it('suggests names that are near to an unknown one', async () => {
    expect(await why('unusd.qcow2', '--pool', 'uvtool')).to.deep.equal({
      status: 4,
      stdout: '',
      stderr: [
        "poolkeeper: error: no volume is called 'unusd.qcow2'",
        "poolkeeper: hint: did you mean 'unused.qcow2'?",
        '',
      ].join('\n'),
    });
    expect((await why('l4.qcow2', '--pool', 'no-such-pool')).status).to.equal(10);
  });

  it('lists what could not be seen, with the remedy', async () => {
    await world.libvirtd.virsh('pool-define-as', 'lost', 'dir', '--target', '/no/such/directory');
    try {
      const run = await why('unused.qcow2', '--pool', 'uvtool');
      expect(run.stdout.split('\n').slice(3)).to.deep.equal([
        '  kept while 1 thing could not be seen',
        `  path: ${at('unused.qcow2')}`,
        '',
        "could not see storage pool 'lost'",
        '  because it is not active, so the images in it cannot be seen',
        "  remedy: start it with 'virsh pool-start lost', or 'virsh pool-undefine lost' if it is no longer used",
        '',
      ]);
    } finally {
      await world.libvirtd.virsh('pool-undefine', 'lost');
    }
  });
});

function withoutTimes(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');
}
