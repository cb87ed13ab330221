import { expect } from 'chai';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckedFinding } from '../../src/core/finding.ts';
import { closedDirectories } from '../../src/gather/health-places.ts';
import { checkKeyring } from '../../src/gather/health-trust.ts';
import { openJournal } from '../../src/state/journal.ts';
import { openGpgHome } from '../support/gpg.ts';
import { jsonLines } from '../support/json-lines.ts';
import { type Run, runProgram, World } from '../support/world.ts';
import { qcow2Head } from '../unit/image-format/qcow2-image.ts';

const BACKING = 'base.img';

describe('the doctor', () => {
  let world: World;
  let state: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240416')]);
    expect((await world.sync('arch=amd64', 'release~^(noble|jammy)$')).status).to.equal(0);
    const [uuid = ''] = await readdir(join(world.root, 'state/pools'));
    state = join(world.root, 'state/pools', uuid);
    await copyFile(world.keyring, join(world.root, 'state/keyring.asc'));
  });

  after(() => world.stop());

  const doctor = (...args: readonly string[]) => world.poolkeeper('doctor', ...args);

  /** What is wrong, by check and level. */
  const wrong = async (...args: readonly string[]): Promise<{ readonly status: number; readonly found: string[] }> => {
    const run = await doctor('--json', '-q', ...args);
    return {
      status: run.status,
      found: findingsOf(run).map(({ check, level, message }) => `${check} ${level}: ${message}`),
    };
  };

  it('finds nothing wrong with a host that is well, and changes nothing', async () => {
    const tree = await world.tree();
    const run = await doctor();
    expect(run).to.include({ status: 0, stderr: '' });
    const checks = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/).slice(0, 2));
    expect(checks.map(([level]) => level)).to.deep.equal(checks.map(() => 'ok'));
    expect(checks.map(([, check]) => check)).to.deep.equal(
      [
        'config',
        'state',
        'cache',
        'keyring',
        'libvirt',
        'pool',
        'metadata',
        'directories',
        'files',
        'deletion',
        'space',
        'trash',
        'lock',
        'journal',
        'leases',
      ].concat(['clock', 'images', 'overlays', 'view', 'forgotten', 'limits', 'sync']),
    );
    expect(await doctor('-q')).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(await world.tree()).to.deep.equal(tree);
  });

  it('finds what is wrong with state, pool and images, and how to mend it', async () => {
    const noble = world.volumeName('noble', '20240423');
    await rm(world.volumePath('jammy', '20240416'));
    await writeFile(join(world.metadata, 'README'), 'notes');
    for (const path of [world.volumePath('focal', '20240101'), join(world.poolPath, BACKING)]) {
      await copyFile(world.volumePath('noble', '20240423'), path);
      await world.libvirtd.give(path);
    }
    await writeFile(
      join(world.poolPath, 'overlay.qcow2'),
      qcow2Head({ backing: { offset: 512n, length: BACKING.length, name: BACKING } }),
    );
    await writeFile(join(world.poolPath, 'broken.qcow2'), qcow2Head({ clusterBits: 99 }));
    await mkdir(join(state, 'leases'), { recursive: true });
    await writeFile(join(state, 'leases/0123abcd.json'), '{');
    const owner = { command: 'poolkeeper sync', pid: 2 ** 30, host: hostname(), since: '2024-04-23T00:00:00.000Z' };
    await writeFile(join(state, 'lock'), JSON.stringify(owner));
    const journal = await openJournal(join(state, 'journal'));
    await journal.begin({ kind: 'delete', volumeName: noble, volumeKey: noble });
    await journal.close();
    const [memory = ''] = await readdir(join(state, 'sources'));
    const text = await readFile(join(state, 'sources', memory), 'utf8');
    await writeFile(join(state, 'sources', memory), text.replace(/"updatedAtMs": \d+/, '"updatedAtMs": 4102444800000'));
    await rename(join(world.root, 'state/runs'), join(world.root, 'runs'));
    await world.libvirtd.virsh('pool-refresh', 'uvtool');

    const run = await doctor('--json', '-q');
    expect(run.status).to.equal(3);
    const product = 'com.ubuntu.cloud:server';
    const expected = [
      ['lock warning', `a run was killed (poolkeeper sync, pid ${2 ** 30}, since 2024-04-23T00:00:00.000Z)`],
      ['journal warning', `an earlier run was interrupted during delete of volume '${noble}'`],
      ['leases problem', `lease '${join(state, 'leases/0123abcd.json')}' is not JSON, so that no image can be deleted`],
      ['clock warning', `${world.server.url} has a document of 2100-01-01T00:00:00.000Z, which is yet to come`],
      ['images warning', `image ${product}:22.04:amd64 20240416 has metadata and no volume`],
      ['images warning', `the volume of image ${product}:22.04:amd64 20240416 is gone`],
      [
        'images warning',
        `image ${product}:20.04:amd64 20240101 is kept: no source that is known here ever listed its product`,
      ],
      ['images problem', `file 'README' in '${world.metadata}' has no image's name, and stops uvtool`],
      ['overlays warning', 'volume uvtool/overlay.qcow2 does not record the format of what it stands on'],
      ['view problem', `cannot see lease '${join(state, 'leases/0123abcd.json')}'`],
      ['view problem', 'cannot see volume uvtool/broken.qcow2: qcow2 header is malformed'],
      ['sync warning', `storage pool 'uvtool' was never synced from here`],
    ];
    const found = findingsOf(run);
    const beginnings = found.map(({ check, level, message }, index) => [
      `${check} ${level}`,
      message.slice(0, expected[index]?.[1]?.length),
    ]);
    expect(beginnings).to.deep.equal(expected);
    expect(found.filter(({ fix }) => fix === undefined || fix === '')).to.deep.equal([]);
    expect(jsonLines(run.stdout).at(-1)).to.deep.equal({
      message_type: 'error',
      message: '4 problems found',
      code: 'POOLKEEPER_PARTIAL',
      exit_status: 3,
    });
  });

  it('finds directories that others may write to, too little room, and mistakes in the configuration', async () => {
    const [good, bad] = [join(world.root, 'good.yaml'), join(world.root, 'bad.yaml')];
    await writeFile(good, 'reserve: 900000T\n');
    await writeFile(bad, 'pool: uvtool\nresrve: 1G\n');
    await chmod(join(world.root, 'state'), 0o757);
    const { status, found } = await wrong('--config', good);
    await chmod(join(world.root, 'state'), 0o750);
    expect(status).to.equal(3);
    expect(found[0]).to.match(/^state problem: cannot use directory '\S+\/state': every user may write to it$/);
    expect(found[1]).to.match(
      /^space problem: only \S+ \S+ of \S+ \S+ are free in storage pool 'uvtool', less than the reserve/,
    );
    expect((await wrong('--config', bad)).found[0]).to.match(/^config problem: \S+\/bad\.yaml:2:1: .*resrve/);
  });

  it('finds out whether sources can be reached, and names the proxy', async () => {
    const config = join(world.root, 'sources.yaml');
    await writeFile(
      config,
      `sources:\n  here:\n    url: ${world.server.url}\n  nowhere:\n    url: http://127.0.0.1:9/\n`,
    );
    const sources = async (env: Record<string, string>) => {
      const run = await runProgram(
        [...world.options, 'doctor', '--network', '--json', '--config', config],
        world.root,
        env,
      );
      return findingsOf(run).filter(({ check }) => check === 'source');
    };
    const [here, nowhere] = await sources({});
    expect(here).to.include({ level: 'ok', message: `${world.server.url} answers` });
    expect(nowhere).to.include({ level: 'problem' });
    expect(nowhere?.message).to.match(/^cannot fetch http:\/\/127\.0\.0\.1:9\//);
    const [proxied] = await sources({ http_proxy: world.server.url.replace('//', '//user:secret@') });
    expect(proxied?.message)
      .to.match(/through the proxy http:\/\/127\.0\.0\.1:\d+\//)
      .and.not.contain('secret');
  });

  it('says what could not be looked at without the pool, or without libvirt', async () => {
    await world.libvirtd.virsh('pool-destroy', 'uvtool');
    const { status, found } = await wrong();
    await world.libvirtd.virsh('pool-start', 'uvtool');
    expect(status).to.equal(3);
    expect(found.slice(0, 2)).to.deep.equal([
      `pool problem: storage pool 'uvtool' is not active`,
      'others warning: could not be looked at without it: metadata, access, directories, files, deletion, space, trash, lock, journal, leases, clock, images, overlays, view, forgotten, limits, sync',
    ]);
    const away = await wrong('--connect', 'qemu+unix:///session?socket=/nowhere');
    expect(away.status).to.equal(3);
    expect(away.found[0]).to.match(/^libvirt problem: cannot connect to /);
  });

  it('finds keys that are missing, have expired or soon will, and directories that QEMU cannot enter', async () => {
    const gpg = await openGpgHome();
    const now = Date.now();
    const dir = await mkdtemp(join(tmpdir(), 'pk-doctor-'));
    const levelOf = async (expire: string): Promise<string> => {
      const path = join(dir, `${expire}.gpg`);
      await writeFile(path, await gpg.exportKeys([await gpg.createKey({ expire })]));
      return (await checkKeyring(path, now)).map(({ level }) => level).join();
    };
    expect(await levelOf('0')).to.equal('ok');
    expect(await levelOf('1y')).to.equal('ok');
    expect(await levelOf('7d')).to.equal('warning');
    const [expired] = await checkKeyring(join(dir, '7d.gpg'), now + 8 * 86_400_000);
    expect(expired?.level).to.equal('problem');
    expect(expired?.message).to.match(/ expired on \d{4}-/);
    const [missing] = await checkKeyring(join(dir, 'none'), now);
    expect(missing).to.include({ level: 'problem', message: `there is no keyring '${join(dir, 'none')}'` });
    const closed = await closedDirectories(dir);
    expect(closed.map(({ level, fix }) => [level, fix])).to.deep.equal([['warning', `chmod o+x '${dir}'`]]);
    await gpg.close();
    await rm(dir, { recursive: true });
  });
});

function findingsOf({ stdout }: Run): readonly CheckedFinding[] {
  return jsonLines(stdout).filter((line) => line['message_type'] === 'finding') as unknown as readonly CheckedFinding[];
}
