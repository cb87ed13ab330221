import { expect } from 'chai';
import { join } from 'node:path';
import { createQcow2 } from '../support/qemu.ts';
import { jsonLines } from '../support/json-lines.ts';
import { aftermathOf } from '../support/aftermath.ts';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';
import { type Run, World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const DAYS = ['20240401', '20240402', '20240403', '20240404', '20240405'] as const;
const AT_ONCE = ['--grace', '0', '--min-age', '0'];
const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
const RUN = /\d{8}T\d{6}Z-[0-9a-f]{4}/g;

describe('poolkeeper gc', () => {
  let world: World;

  let snapshot: Snapshot;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.holdVersions('noble', DAYS);
    snapshot = await takeSnapshot(world);
  });
  after(() => world.stop());
  beforeEach(() => snapshot.rewind());

  const gc = (...args: readonly string[]): Promise<Run> => world.poolkeeper('gc', ...args);
  const volume = (day: string): string => world.volumeName('noble', day);

  /** What a run printed, without what differs from run to run. */
  function plain({ status, stdout, stderr }: Run): Run {
    const text = stdout
      .replaceAll(TIME, 'TIME')
      .replaceAll(RUN, 'RUN')
      .replaceAll(/[\d.]+ MiB/g, 'SIZE')
      .replaceAll(/ on \d{4}-\d\d-\d\d\b/g, ' on DATE')
      .replaceAll(`image ${NOBLE} 2024`, '');
    return { status, stdout: text, stderr };
  }

  /** Lines in an order of their own: libvirt lists volumes in none. */
  function sorted(text: string): readonly string[] {
    return text.split('\n').toSorted();
  }

  it('prints with --dry-run the verdict on each image and its reason, and changes nothing', async () => {
    await world.define('web1', { pool: 'uvtool', volume: volume('20240401') });
    await createQcow2(join(world.poolPath, 'disk.qcow2'), { sizeBytes: 2 ** 20, backing: volume('20240402') });
    await world.libvirtd.give(join(world.poolPath, 'disk.qcow2'));
    await world.poolkeeper('lock', volume('20240403'), '--reason', 'audit', '--until', '30d');
    const tree = await world.tree();
    const run = plain(await gc('--dry-run', '-v', '--keep-versions', '1'));
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    expect(sorted(run.stdout)).to.deep.equal([
      '',
      'keep 0401: it is in use (domain web1)',
      'keep 0402: it is in use (volume uvtool/disk.qcow2 is not managed)',
      'keep 0403: the administrator locked it',
      'keep 0404: needed until recently, eligible at TIME',
      'keep 0405: it is offered to new domains',
      "leave volume 'disk.qcow2' alone: not managed",
      'would free 0 B; images held SIZE before, SIZE after',
      'would retire 0404: newer versions replace it',
    ]);
    expect(await world.tree()).to.deep.equal(tree);
    const json = jsonLines((await gc('--dry-run', '-v', '--json')).stdout);
    const facts = json.map(({ message_type: type, action, reason, eligible_at: time }) =>
      [type, action, reason, ...(time === undefined ? [] : ['time'])].join(' '),
    );
    expect(facts.toSorted()).to.deep.equal([
      'foreign  ',
      'retention candidate replaced time',
      'retention retain in use',
      'retention retain in use',
      'retention retain locked',
      'retention retain offered',
      'totals  ',
      'verdict keep grace time',
    ]);
  });

  it('retires what newer versions replace, and deletes it when its grace is over', async () => {
    const first = plain(await gc('--yes', '--keep-versions', '3'));
    expect(first).to.deep.equal({
      status: 0,
      stdout: [
        'retired 0401: newer versions replace it',
        'retired 0402: newer versions replace it',
        "2 image(s) now wait to be deleted; 'poolkeeper undo RUN' takes them back",
        'freed 0 B; images held SIZE before, SIZE after',
        '',
      ].join('\n'),
      stderr: '',
    });
    const second = plain(await gc('--yes', '--keep-versions', '3', ...AT_ONCE));
    expect([second.status, second.stderr]).to.deep.equal([0, '']);
    expect(sorted(second.stdout)).to.deep.equal([
      '',
      'SIZE will be freed on DATE; images held SIZE before, SIZE after',
      'deleted 0401 (SIZE freed on DATE)',
      'deleted 0402 (SIZE freed on DATE)',
    ]);
    expect(await world.volumes()).to.deep.equal(DAYS.slice(2).map(volume).sort());
  });

  it('asks before it changes anything, and cannot ask without a terminal', async () => {
    const tree = await world.tree();
    expect((await gc('--keep-versions', '3')).status).to.equal(1);
    const after = await world.tree();
    const images = Object.keys(tree).filter((path) => !path.includes('/state'));
    expect(images.map((path) => after[path])).to.deep.equal(images.map((path) => tree[path]));
    expect((await gc()).stderr).to.include('without a terminal, confirm with --yes');
  });

  it('refuses a policy that would keep nothing', async () => {
    for (const words of [
      ['--keep-versions', '0'],
      ['--max-size', '0'],
      ['--unused-for', '0'],
      ['--gone', 'drop'],
      ['--min-age', '-1'],
    ]) {
      expect((await gc('--yes', ...words)).status, words.join(' ')).to.equal(2);
    }
    expect(await world.volumes()).to.have.lengthOf(5);
  });

  it('stops before more than half of all images would go, now or later, unless told to', async () => {
    const tree = Object.keys(await world.tree());
    const run = await gc('--yes', '--keep-versions', '1');
    expect([run.status, run.stderr.split('\n')[0]]).to.deep.equal([
      13,
      'poolkeeper: error: nothing was deleted: it would delete 4 of the 5 images in the pool',
    ]);
    expect(Object.keys(await world.tree())).to.deep.equal(tree);
    expect((await gc('--yes', '--keep-versions', '1', '--allow-mass-removal', ...AT_ONCE)).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([volume('20240405')]);
  });

  it('evicts what was used longest ago when the images take up too much space', async () => {
    await world.define('web1', { pool: 'uvtool', volume: volume('20240401') });
    const run = plain(await gc('--yes', '--keep-versions', '9', '--max-size', '6M', ...AT_ONCE));
    expect(run.stdout.split('\n').slice(0, 2)).to.deep.equal([
      'retired 0402: the images take up too much space',
      'retired 0403: the images take up too much space',
    ]);
    expect(await world.volumes()).to.deep.equal(['20240401', '20240404', '20240405'].map(volume).sort());
    expect(plain(await gc('--dry-run', '--keep-versions', '9', '--unused-for', '1ms')).stdout).to.include(
      'would retire 0404: nothing needed it for so long',
    );
  });

  it('drops products that left their source only when told to, and only when nothing needs them', async () => {
    await world.publishRelease('jammy', '20240501');
    await world.sync('release=jammy');
    expect((await gc('--dry-run', '--keep-versions', '9')).stdout).not.to.include('would retire');
    await world.define('web1', { pool: 'uvtool', volume: volume('20240405') });
    const run = plain(await gc('--yes', '--gone', 'drop-when-unused', '--allow-mass-removal', ...AT_ONCE));
    expect(run.stdout).to.include('retired 0404: its product left the source or the filters');
    expect(run.stdout).not.to.include('0405');
    expect(await world.volumes()).to.deep.equal([volume('20240405'), world.volumeName('jammy', '20240501')].sort());
  });

  it('takes a run back with undo, and one image', async () => {
    const before = await aftermathOf(world);
    await gc('--yes', '--keep-versions', '3');
    const run = plain(await world.poolkeeper('undo'));
    expect(run).to.deep.equal({ status: 0, stdout: 'took 0401 back\ntook 0402 back\n', stderr: '' });
    expect(await aftermathOf(world)).to.deep.equal(before);
    const [, id = ''] = /undo (\S+)'/.exec((await gc('--yes', '--keep-versions', '3')).stdout) ?? [];
    expect(plain(await world.poolkeeper('undo', NOBLE, '20240402')).stdout).to.equal('took 0402 back\n');
    expect(plain(await world.poolkeeper('undo', id)).stdout).to.equal('took 0401 back\n');
    expect((await world.poolkeeper('undo')).status).to.equal(4);
    expect((await world.poolkeeper('undo', NOBLE)).stderr).to.include(`may be any of 5 images:\n  ${NOBLE} 20240401`);
    expect((await world.poolkeeper('undo', NOBLE, '20240405')).status).to.equal(1);
    expect(await aftermathOf(world)).to.deep.equal(before);
  });

  it('takes an image back that something needs again, without a download, once', async () => {
    await gc('--yes', '--keep-versions', '3');
    await world.define('web1', { pool: 'uvtool', volume: volume('20240401') });
    const requests = world.server.requests.length;
    const tree = await world.tree();
    expect(plain(await gc('--dry-run', '--keep-versions', '3')).stdout).to.include(
      'would rescue 0401: needed by domain web1\n',
    );
    expect(await world.tree()).to.deep.equal(tree);
    const first = plain(await world.sync('--keep-versions', '3', '--grace', '1h'));
    expect(first).to.deep.equal({ status: 0, stdout: 'rescued 0401: needed by domain web1\n', stderr: '' });
    const { records, metadata } = await aftermathOf(world);
    expect([records[volume('20240401')]?.status, Object.keys(metadata)]).to.deep.equal([
      'active',
      [volume('20240405')],
    ]);
    for (const run of [
      await world.sync('--keep-versions', '3', '--grace', '1h'),
      await gc('--yes', '-q', '--keep-versions', '3'),
    ])
      expect(run).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(world.imageRequests(requests)).to.equal(0);
    await world.libvirtd.virsh('undefine', 'web1');
    expect(plain(await gc('--yes', '--keep-versions', '3')).stdout).to.include(
      'retired 0401: newer versions replace it\n',
    );
  });

  it('lets what was in use when it was withdrawn wait for its last user', async () => {
    await world.define('web1', { pool: 'uvtool', volume: volume('20240405') });
    await world.publishRelease('noble', '20240406');
    const first = plain(await world.sync('--keep-versions', '1', '--no-gc'));
    expect(first.stdout).to.include('withdrew 0405 from the offer\n');
    await world.libvirtd.virsh('undefine', 'web1');
    await world.define('web1', { pool: 'uvtool', volume: volume('20240406') });
    await world.poolkeeper('purge', '--yes');
    expect(await world.volumes()).to.deep.equal([volume('20240406')]);
    const { records } = await aftermathOf(world);
    const run = await gc('--yes', '-q');
    expect(run).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect((await aftermathOf(world)).records).to.deep.equal(records);
    expect(records[volume('20240406')]?.status).to.equal('pending_delete');
  });

  it('gives the metadata file back when the newest version is taken back', async () => {
    const offered = await world.metadataOf('noble', '20240405');
    await world.publishRelease('jammy', '20240501');
    await world.sync('release=jammy');
    await gc('--yes', '--gone', 'drop-when-unused', '--allow-mass-removal');
    expect((await world.poolkeeper('query')).stdout).not.to.include('noble');
    expect(plain(await world.poolkeeper('undo')).stdout).to.include('took 0405 back and offered it\n');
    expect(await world.metadataOf('noble', '20240405')).to.deep.equal(offered);
  });

  it('brings an image back without a download when its source offers it again', async () => {
    await gc('--yes', '--keep-versions', '3');
    const requests = world.server.requests.length;
    await world.publishRelease('noble', '20240402');
    const run = plain(await world.sync('--keep-versions', '9', '--allow-rollback', '--grace', '1h'));
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    expect(run.stdout).to.include('offered 0402\n');
    expect(world.imageRequests(requests)).to.equal(0);
  });

  it('keeps what is locked until it is unlocked, and why says so', async () => {
    expect(plain(await world.poolkeeper('lock', 'version_name=20240401', '--reason', 'audit')).stdout).to.equal(
      'locked 0401\n',
    );
    expect(plain(await world.poolkeeper('why', volume('20240401'))).stdout).to.include(
      "the administrator's lock (audit)",
    );
    await gc('--yes', '--keep-versions', '3', ...AT_ONCE);
    expect(await world.volumes()).to.include(volume('20240401'));
    expect(await world.volumes()).not.to.include(volume('20240402'));
    expect((await world.poolkeeper('purge', '--yes', '--force-in-use')).stderr).to.include(
      "needed by the administrator's lock (audit)",
    );
    expect(await world.volumes()).to.deep.equal([volume('20240401')]);
    expect(plain(await world.poolkeeper('unlock', NOBLE, '20240401')).stdout).to.equal('unlocked 0401\n');
    expect(plain(await world.poolkeeper('unlock', NOBLE, '20240401')).stdout).to.equal('0401 was not locked\n');
    await gc('--yes', '--keep-versions', '3', '--allow-mass-removal', ...AT_ONCE);
    expect(await world.volumes()).not.to.include(volume('20240401'));
    await snapshot.rewind();
    expect((await world.poolkeeper('lock', 'release=noble')).status).to.equal(2);
    expect((await world.poolkeeper('lock', 'release=plucky')).status).to.equal(4);
    expect((await world.poolkeeper('lock', NOBLE, '20240405', '--until', '0')).status).to.equal(2);
  });

  it('is left out of a sync with --no-gc', async () => {
    await gc('--yes', '--keep-versions', '3');
    expect(await world.sync('--no-gc', '--keep-versions', '3')).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(await world.volumes()).to.have.lengthOf(5);
    await world.sync('--keep-versions', '3');
    expect(await world.volumes()).to.have.lengthOf(3);
  });
});
