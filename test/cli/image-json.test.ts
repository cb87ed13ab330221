import { expect } from 'chai';
import { join } from 'node:path';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { readMessageSchema } from '../support/message-schema.ts';
import { createQcow2 } from '../support/qemu.ts';
import { runInProcess } from '../support/in-process.ts';
import { runTask } from '../../src/execute/run-task.ts';
import { readTasks } from '../../src/state/tasks.ts';
import { jsonLines } from '../support/json-lines.ts';
import { type Run, World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';

describe('poolkeeper list and show', () => {
  let world: World;
  let base: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publish([
      await world.release('noble', '20240423', '20240821'),
      await world.release('jammy', '20240301'),
    ]);
    await world.sync('--keep-versions', '2');
    await world.publish([
      await world.release('noble', '20240821', '20241004'),
      await world.release('jammy', '20240301'),
    ]);
    await world.sync('--keep-versions', '9', '--grace', '1d');
    base = world.volumeName('noble', '20241004');
    const overlay = join(world.poolPath, 'web1.qcow2');
    await createQcow2(overlay, { sizeBytes: 2 ** 20, backing: join(world.poolPath, base) });
    await world.libvirtd.give(overlay);
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    await world.define('web1', { pool: 'uvtool', volume: 'web1.qcow2' });
    await world.define('web2', { path: join(world.poolPath, base) });
    await pk('disable', 'release=jammy');
    await pk('lock', 'release=jammy', '--reason', 'audit', '--until', '30d');
  });
  after(() => world.stop());

  const pk = (...args: readonly string[]): Promise<Run> => runInProcess(world, args);

  it('show each image with its status, who uses it, and what it is', async () => {
    const run = await pk('list');
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    const plain = run.stdout
      .replaceAll(/[\d.]+ MiB/g, 'SIZE')
      .replaceAll(/\d+(?:s|min) /g, 'AGE ')
      .replaceAll(world.server.url, 'URL')
      .replaceAll(/ +/g, ' ');
    expect(plain.split('\n')).to.deep.equal([
      'IMAGE VERSION STATUS USAGE TYPE SIZE AGE SOURCE',
      'com.ubuntu.cloud:server:22.04:amd64 20240301 deactivated unused os SIZE AGE URL',
      `${NOBLE} 20240821 active unused os SIZE AGE URL`,
      `${NOBLE} 20241004 active used 2 os SIZE AGE URL`,
      '',
    ]);
    const states = (await pk('list', '--states', 'opennebula')).stdout;
    expect([...states.matchAll(/\d{8} +(\w+)/g)].map(([, state]) => state)).to.deep.equal(['disa', 'rdy', 'used']);
    const disabled = await pk('list', 'status=deactivated', '--json');
    expect(jsonLines(disabled.stdout)).to.have.length(1);
  });

  it('follow the schemas that are shipped with the package', async () => {
    const schema = await readMessageSchema();
    const { stdout } = await pk('list', '--all', '--json');
    const listed = jsonLines(stdout);
    expect(listed).to.have.length.greaterThan(2);
    expect(schema.complaintsAbout(stdout)).to.deep.equal([]);
    for (const { volume } of listed) {
      const shown = await pk('show', String(volume), '--json');
      expect(schema.complaintsAbout(shown.stdout), String(volume)).to.deep.equal([]);
    }
    expect(schema.complaintsAbout((await pk('tasks', '--json')).stdout)).to.deep.equal([]);
    expect(schema.complaintsAbout(JSON.stringify({ ...listed[0], status: 'lost' }))).to.have.length(1);
  });

  it('tell what an image came from, who needs it with the evidence, and what was done with it', async () => {
    const { stdout } = await pk('show', NOBLE, '20241004');
    expect(stdout).to.include(`\n  volume:        uvtool/${base}\n`);
    expect(stdout).to.match(/\n {2}sha256: {8}[0-9a-f]{64}\n/);
    expect(stdout).to.match(/\n {4}domain web1 through volume uvtool\/web1\.qcow2 \(domain web1, inactive XML, .*disk/);
    expect(stdout).to.match(/\n {4}domain web2 \(domain web2, inactive XML, \S*disk/);
    expect(stdout).to.match(/\n {4}[0-9a-f]{8} fetch success, 100%, began /);
    const [locked] = jsonLines((await pk('show', 'release=jammy', '--json')).stdout);
    expect(locked).to.deep.include({ status: 'deactivated', is_locked: true });
    expect(locked?.['lock']).to.include({ reason: 'audit' });
  });

  it('show the tasks of the pool, and one of them', async () => {
    const tasks = jsonLines((await pk('tasks', '--json')).stdout);
    expect(tasks.map(({ kind, status }) => `${String(kind)} ${String(status)}`)).to.include('fetch success');
    const id = String(tasks[0]?.['id']);
    expect(jsonLines((await pk('tasks', id, '--watch', '--json')).stdout)).to.deep.equal([tasks[0]]);
    expect(await pk('tasks', 'ffffffff')).to.include({ status: 4 });
  });

  it('watch tasks until they are over, and fail with those that do', async () => {
    const uuid = (await world.libvirtd.virsh('pool-uuid', 'uvtool')).trim();
    const paths = { tasks: join(world.root, 'state/pools', uuid, 'tasks') };
    const desk = { paths, clock: { now: () => Date.now() }, pid: process.pid };
    for (const error of [undefined, new Error('the disk is full')]) {
      let watch: Promise<Run> | undefined;
      const task = { kind: 'verify', volumeName: base, totalBytes: 8n } as const;
      await runTask(desk, task, async () => {
        const [own] = (await readTasks(paths.tasks)).tasks;
        expect(own).to.include({ status: 'processing' });
        watch = pk('tasks', own?.id ?? '', '--watch', '--json');
        if (error !== undefined) throw error;
      }).catch(() => undefined);
      const { status, stdout } = (await watch) ?? {};
      const shown = jsonLines(stdout ?? '')[0];
      const wanted = error === undefined ? [0, 'success', undefined] : [1, 'failure', 'the disk is full'];
      expect([status, shown?.['status'], shown?.['message']]).to.deep.equal(wanted);
    }
  });

  it('print a path and nothing else, and only of what is offered', async () => {
    expect(await pk('path', 'release=noble')).to.deep.equal({
      status: 0,
      stdout: `${join(world.poolPath, base)}\n`,
      stderr: '',
    });
    const old = encodeMetadataName({ product: NOBLE, version: '20240821' });
    expect(await pk('path', old)).to.include({ status: 4, stdout: '' });
    expect((await pk('path', old, '--any')).stdout).to.equal(`${join(world.poolPath, old)}\n`);
  });
});
