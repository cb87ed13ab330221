import { copyFile, mkdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { acquireLock } from '../../src/state/lock.ts';
import { ensurePoolStateDirs, poolStatePaths } from '../../src/state/paths.ts';
import { jsonLines } from '../support/json-lines.ts';
import { createQcow2, domainXml } from '../support/qemu.ts';
import { productName } from '../support/stream-builder.ts';
import { runInTerminal } from '../support/terminal.ts';
import { dateless, type Run, runProgram, World } from '../support/world.ts';

const PRODUCT = productName({ release: 'noble', arch: 'amd64' });
const QUESTION = 'Proceed [N] Yes/No/Interactive: ';

describe('orphans', () => {
  let world: World;
  let offered: string;
  const at = (name: string): string => join(world.poolPath, name);
  const orphans = async (...args: readonly string[]): Promise<Run> =>
    dateless(await world.poolkeeper('orphans', ...args));
  const inTerminal = async (answers: Parameters<typeof runInTerminal>[1], ...args: readonly string[]) => {
    const { status, output } = await runInTerminal(['orphans', '--min-age', '0', ...args, ...world.options], answers);
    return { status, output: dateless({ status, stdout: output, stderr: '' }).stdout };
  };

  async function image(path: string, backing?: string): Promise<void> {
    await createQcow2(path, { sizeBytes: 2 ** 30, ...(backing === undefined ? {} : { backing }) });
  }

  /** A domain that is only defined. */
  async function define(name: string, ...paths: readonly string[]): Promise<void> {
    if ((await world.libvirtd.virsh('list', '--all', '--name')).split('\n').includes(name)) return;
    const file = join(world.root, `${name}.xml`);
    await writeFile(file, domainXml({ name, disks: paths.map((path) => ({ path })) }));
    await world.libvirtd.virsh('define', file);
  }

  async function uuidOf(pool: string): Promise<string> {
    return (await world.libvirtd.virsh('pool-uuid', pool)).trim();
  }

  /** The pool's volumes but the one that is offered. */
  async function volumes(pool?: string): Promise<readonly string[]> {
    return (await world.volumes(pool)).filter((name) => name !== offered);
  }

  before(async () => {
    world = await World.start();
    await world.createPool();
    const versions = [{ serial: '20240821', image: await world.image('noble') }];
    await world.publish([{ release: 'noble', arch: 'amd64', versions }]);
    expect((await world.sync('arch=amd64')).status).to.equal(0);
    offered = world.volumeName('noble', '20240821');
    await world.libvirtd.poolDir('second');
    await world.libvirtd.virsh('pool-define-as', 'second', 'dir', '--target', join(world.libvirtd.root, 'second'));
    await world.libvirtd.virsh('pool-start', 'second');
    await image(at('used-base.qcow2'));
    await image(at('used.qcow2'), at('used-base.qcow2'));
    await image(at('kept.qcow2'));
    await define('web1', at('used.qcow2'), at('kept.qcow2'));
  });
  after(() => world.stop());

  beforeEach(async () => {
    await image(at('base.qcow2'));
    await image(at('over.qcow2'), at('base.qcow2'));
    await image(join(world.libvirtd.root, 'second/top.qcow2'), at('over.qcow2'));
    await image(join(world.libvirtd.root, 'second/kept.qcow2'));
    await image(join(world.libvirtd.root, 'second/kept2.qcow2'));
    await define('web2', ...['kept', 'kept2'].map((name) => join(world.libvirtd.root, `second/${name}.qcow2`)));
    for (const pool of ['uvtool', 'second']) await world.libvirtd.virsh('pool-refresh', pool);
  });

  const ALL = ['base.qcow2', 'kept.qcow2', 'over.qcow2', 'used-base.qcow2', 'used.qcow2'];
  const USED = ['kept.qcow2', 'used-base.qcow2', 'used.qcow2'];

  it('lists what nothing needs, with pool, sizes and age, and deletes nothing', async () => {
    await mkdir(at('folder'));
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    const second = await uuidOf('second');
    const uvtool = await uuidOf('uvtool');
    try {
      const run = await orphans('--all-pools', '--min-age', '0');
      const lines = run.stdout
        .replaceAll(/\d+s ago/g, 'now')
        .replace(/(folder +\()[^)]*(\) +dir, ).* allocated/, '$1SIZE$2SIZE allocated')
        .split('\n');
      expect(run.status).to.equal(0);
      expect([lines[0], lines[1], ...lines.slice(2, -2).sort(), ...lines.slice(-2)]).to.deep.equal([
        'Found 4 orphaned volumes:',
        'Pool:                                          Volume:',
        `second (${second})  top.qcow2  (1 GiB)  qcow2, 196 KiB allocated, changed now`,
        `uvtool (${uvtool})  base.qcow2  (1 GiB)  qcow2, 196 KiB allocated, changed now`,
        `uvtool (${uvtool})  folder  (SIZE)  dir, SIZE allocated, changed now, never deleted: it is a volume of type 'dir'`,
        `uvtool (${uvtool})  over.qcow2  (1 GiB)  qcow2, 196 KiB allocated, changed now`,
        'Space cleared after cleanup: 588 KiB',
        '',
      ]);
      expect(await volumes()).to.deep.equal([...ALL, 'folder'].sort());
    } finally {
      await rm(at('folder'), { recursive: true });
    }
  });

  it('counts what another pool stands on as needed, unless that pool is looked at too', async () => {
    const run = await orphans('--min-age', '0');
    expect(run).to.deep.equal({ status: 0, stdout: 'Found no orphaned volumes\n', stderr: '' });
  });

  it('gives the same as JSON', async () => {
    const changedAt = new Date('2024-01-01T00:00:00Z');
    await utimes(join(world.libvirtd.root, 'second/top.qcow2'), changedAt, changedAt);
    const [list, orphan, ...rest] = jsonLines((await orphans('--pool', 'second', '--json')).stdout);
    expect([list, { ...orphan, age_seconds: 0 }, ...rest]).to.deep.equal([
      { message_type: 'orphans', state: 'orphaned', count: 1 },
      {
        message_type: 'orphan',
        pool: 'second',
        pool_uuid: await uuidOf('second'),
        volume: 'top.qcow2',
        path: join(world.libvirtd.root, 'second/top.qcow2'),
        format: 'qcow2',
        capacity_bytes: 2 ** 30,
        allocation_bytes: 200_704,
        modified_at: changedAt.toISOString(),
        age_seconds: 0,
        state: 'orphaned',
      },
      { message_type: 'space', freed_bytes: 200_704 },
    ]);
  });

  it('deletes overlays and their bases from several pools, and leaves what is in use', async () => {
    const run = await orphans('--pool', 'uvtool', '--pool', 'second', '--min-age', '0', '--delete', '--yes');
    expect({ ...run, stdout: run.stdout.split('\n').slice(-4) }).to.deep.equal({
      status: 0,
      stdout: [
        "deleted volume 'top.qcow2' in pool 'second' (196 KiB freed on DATE)",
        "deleted volume 'over.qcow2' in pool 'uvtool' (196 KiB freed on DATE)",
        "deleted volume 'base.qcow2' in pool 'uvtool' (196 KiB freed on DATE)",
        '',
      ],
      stderr: '',
    });
    expect(await volumes()).to.deep.equal(USED);
    expect(await volumes('second')).to.deep.equal(['kept.qcow2', 'kept2.qcow2']);
    expect(await world.volumes()).to.include(offered);
  });

  it('deletes nothing that is younger than the minimum age, whatever is answered', async () => {
    const run = await orphans('--all-pools', '--delete', '--yes');
    expect(run.status).to.equal(0);
    const lines = run.stdout.split('\n');
    expect([lines[0], lines.at(-2)]).to.deep.equal([
      'Not needed, but changed too recently to be called orphaned (--min-age):',
      'Found no orphaned volumes',
    ]);
    expect(await volumes()).to.deep.equal(ALL);
  });

  it('deletes after a yes, and nothing after a no or no answer', async () => {
    for (const answer of ['', 'no', 'x']) {
      const refused = await inTerminal([[QUESTION, answer]], '--all-pools', '--delete');
      expect(refused.status).to.equal(1);
      expect(refused.output).to.match(/Space cleared after cleanup: 588 KiB\nProceed.*\n.*nothing was deleted/s);
    }
    expect(await volumes()).to.deep.equal(ALL);
    expect((await inTerminal([[QUESTION, 'Yes']], '--all-pools', '--delete')).status).to.equal(0);
    expect(await volumes()).to.deep.equal(USED);
  });

  it('asks for each, and keeps what a volume stands on that was kept', async () => {
    const run = await inTerminal(
      [
        [QUESTION, 'Interactive'],
        ["Delete volume 'top.qcow2' in pool 'second'? [N] Yes/No: ", 'y'],
        ["Delete volume 'over.qcow2' in pool 'uvtool'? [N] Yes/No: ", ''],
        ["Delete volume 'base.qcow2' in pool 'uvtool'? [N] Yes/No: ", 'yes'],
      ],
      '--all-pools',
      '--delete',
    );
    expect(run.status).to.equal(0);
    expect(run.output).to.include(
      "keep volume 'base.qcow2' in pool 'uvtool': needed by volume uvtool/over.qcow2\n" +
        "deleted volume 'top.qcow2' in pool 'second' (196 KiB freed on DATE)\n",
    );
    expect(await volumes()).to.deep.equal(ALL);
    expect(await volumes('second')).to.deep.equal(['kept.qcow2', 'kept2.qcow2']);
  });

  it('spares what was taken into use between question and deletion, and what that stands on', async () => {
    const answer = async (): Promise<string> => {
      await define('late', at('over.qcow2'));
      return 'yes';
    };
    try {
      const run = await inTerminal([[QUESTION, answer]], '--all-pools', '--delete');
      expect(run.status).to.equal(0);
      expect(run.output).to.include(
        "deleted volume 'top.qcow2' in pool 'second' (196 KiB freed on DATE)\n" +
          "spared volume 'over.qcow2' in pool 'uvtool': it changed or was taken into use meanwhile\n" +
          "spared volume 'base.qcow2' in pool 'uvtool': it changed or was taken into use meanwhile\n",
      );
      expect(await volumes()).to.deep.equal(ALL);
    } finally {
      await world.libvirtd.virsh('undefine', 'late');
    }
  });

  it('needs --yes where there is nobody to ask', async () => {
    const run = await orphans('--pool', 'second', '--min-age', '0', '--delete');
    expect({ ...run, stdout: '' }).to.deep.equal({
      status: 1,
      stdout: '',
      stderr:
        'poolkeeper: error: cannot ask whether to delete orphaned volumes\n' +
        'poolkeeper: hint: without a terminal, confirm with --yes\n',
    });
    expect(await volumes('second')).to.include('top.qcow2');
  });

  it('deletes nothing from a pool whose state another process holds', async () => {
    const pool = { name: 'second', uuid: await uuidOf('second') };
    const paths = poolStatePaths({ stateDir: join(world.root, 'state'), pool });
    await ensurePoolStateDirs(paths, process.getuid?.() ?? 0);
    const lock = await acquireLock(paths.lock, { command: 'test', pid: process.pid, host: 'here', since: 'now' });
    try {
      expect((await orphans('--all-pools', '--min-age', '0', '--delete', '--yes')).status).to.equal(14);
      expect(await volumes()).to.deep.equal(ALL);
    } finally {
      lock.release();
    }
  });

  it('refuses to empty more than half of a pool unless told so', async () => {
    await world.libvirtd.virsh('undefine', 'web2');
    const args = ['--pool', 'second', '--min-age', '0', '--delete', '--yes'];
    const refused = await orphans(...args);
    expect({ ...refused, stdout: '' }).to.deep.equal({
      status: 13,
      stdout: '',
      stderr:
        "poolkeeper: error: nothing was deleted: more than half of the volumes would go from pool 'second'\n" +
        'poolkeeper: hint: if it is right, run once with --allow-mass-removal\n',
    });
    expect(await volumes('second')).to.deep.equal(['kept.qcow2', 'kept2.qcow2', 'top.qcow2']);
    expect((await orphans(...args, '--allow-mass-removal')).status).to.equal(0);
    expect(await volumes('second')).to.deep.equal([]);
  });

  it('deletes nothing while something cannot be seen', async () => {
    await world.libvirtd.virsh('pool-define-as', 'lost', 'dir', '--target', '/no/such/directory');
    try {
      for (const args of [['--delete', '--yes'], []]) {
        const run = await orphans('--pool', 'second', '--min-age', '0', ...args);
        expect(run.status).to.equal(13);
        expect(run.stderr).to.include("storage pool 'lost': it is not active");
        expect(run.stdout).to.include('Perhaps orphaned, but not everything could be seen');
      }
      expect((await orphans('--pool', 'lost')).status).to.equal(10);
      expect(await volumes('second')).to.include('top.qcow2');
    } finally {
      await world.libvirtd.virsh('pool-undefine', 'lost');
    }
  });

  it('keeps what is offered through another pool on the same directory', async () => {
    const alias = join(world.libvirtd.root, 'alias');
    await symlink(world.poolPath, alias);
    await world.libvirtd.virsh('pool-define-as', 'alias', 'dir', '--target', alias);
    await world.libvirtd.virsh('pool-start', 'alias');
    try {
      const run = await orphans('--pool', 'alias', '--pool', 'second', '--min-age', '0', '--json');
      const found = jsonLines(run.stdout).map((line) => line['volume']);
      expect(new Set(found)).to.deep.equal(new Set([undefined, 'base.qcow2', 'over.qcow2', 'top.qcow2']));
    } finally {
      await world.libvirtd.virsh('pool-destroy', 'alias');
      await world.libvirtd.virsh('pool-undefine', 'alias');
      await rm(alias);
    }
  });

  it('tells copies of known images by size, and by digest if asked to', async () => {
    const bytes = await readFile(at(offered));
    await copyFile(at(offered), at('copy.img'));
    await world.libvirtd.give(at('copy.img'));
    await writeFile(at('similar.img'), bytes.fill(1, bytes.length - 1));
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    const imagesOf = async (...args: readonly string[]): Promise<unknown> => {
      const lines = jsonLines((await orphans('--min-age', '0', '--json', ...args)).stdout);
      const found = lines.filter((line) => line['message_type'] === 'orphan');
      return Object.fromEntries(found.map((line) => [line['volume'], [line['identified_by'], line['images']]]));
    };
    const images = [{ product: PRODUCT, version: '20240821' }];
    try {
      expect(await imagesOf()).to.deep.equal({ 'copy.img': ['size', images], 'similar.img': ['size', images] });
      expect(await imagesOf('--identify')).to.deep.equal({
        'copy.img': ['digest', images],
        'similar.img': [undefined, undefined],
      });
    } finally {
      for (const name of ['copy.img', 'similar.img']) await rm(at(name));
    }
  });

  it('refuses pools that are named wrongly', async () => {
    const statuses = [];
    for (const args of [['--pool', 'none'], ['--pool', 'second', '--all-pools'], ['--pool']]) {
      statuses.push((await runProgram(['orphans', ...args, ...world.options], world.root)).status);
    }
    expect(statuses).to.deep.equal([10, 2, 2]);
  });
});
