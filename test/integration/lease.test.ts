import { expect } from 'chai';
import { access, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lease } from '../../src/core/lease.ts';
import { fetcherOf, openSession, withConnection, withLock } from '../../src/commands/session.ts';
import { executeSweep } from '../../src/execute/sweep.ts';
import { judgePool } from '../../src/gather/judge-pool.ts';
import { lookupVolume } from '../../src/libvirt/volume.ts';
import { withHeldImage } from '../../src/execute/hold-image.ts';
import { readHostMoment, readPidNamespace } from '../../src/state/host-moment.ts';
import { leasePath } from '../../src/state/leases.ts';
import { stateOf, until } from '../support/aftermath.ts';
import { inProcess } from '../support/in-process.ts';
import { jsonLines } from '../support/json-lines.ts';
import { startProgram, World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/;

describe('a lease', () => {
  let world: World;
  let old: string;
  let fresh: string;
  let leases: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    old = world.volumeName('noble', '20240423');
    fresh = world.volumeName('noble', '20240821');
  });
  after(() => world.stop());

  /** The old image is offered, and the next sync would replace it. */
  beforeEach(async () => {
    await world.reset();
    await world.publishRelease('noble', '20240423');
    await world.sync();
    await world.publishRelease('noble', '20240821');
    leases = join(await stateOf(world), 'leases');
  });

  const lease = (...words: readonly string[]) => world.poolkeeper('lease', 'run', ...words);

  /** Puts a lease on the old image, and makes it garbage but for that. */
  async function holdOld(change: Partial<Lease> = {}): Promise<Lease> {
    const moment = await readHostMoment(Date.now());
    const held: Lease = {
      id: '3f2a9c01',
      volumeName: old,
      command: 'virt-install …',
      pid: 123,
      processStart: 1,
      pidNamespace: readPidNamespace(),
      host: moment.host,
      bootId: moment.bootId,
      createdAt: moment.now,
      expiresAt: moment.now + 60_000,
      createdAtUptime: moment.uptime,
      ...change,
    };
    await writeFile(leasePath(leases, held.id), JSON.stringify({ formatVersion: 1, ...held }));
    return held;
  }

  it('keeps an image while a command runs, and no longer', async () => {
    const sync = world.commandLine(['sync', '-v', '--source', world.server.url, '--keyring', world.keyring]);
    const run = await lease(old, '--', ...sync, '--grace', '0', '--min-age', '0');
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    expect(run.stdout).to.match(
      new RegExp(
        `^keep image ${NOBLE} 20240423: needed by lease [0-9a-f]{8} \\(node …, pid \\d+, until ${TIME.source}\\)$`,
        'm',
      ),
    );
    expect(await world.volumes()).to.deep.equal([old, fresh].sort());
    expect(await readdir(leases)).to.deep.equal([]);
    expect((await world.sync()).stdout).to.match(/^deleted image \S+ 20240423 /);
  });

  it('passes path, arguments and exit status on', async () => {
    const path = world.volumePath('noble', '20240423');
    const run = await lease(
      NOBLE,
      '--',
      'sh',
      '-c',
      'echo "$POOLKEEPER_IMAGE_PATH" "$@"; exit 7',
      'sh',
      'a={},b={}',
      '007',
      '-',
      '--json',
    );
    expect(run).to.deep.equal({ status: 7, stdout: `${path} a=${path},b=${path} 007 - --json\n`, stderr: '' });
  });

  it('tells the command which libvirt and which pool it works on', async () => {
    const run = await lease(NOBLE, '--', 'sh', '-c', 'echo "$LIBVIRT_DEFAULT_URI $POOLKEEPER_POOL"');
    expect(run).to.deep.equal({ status: 0, stdout: `${world.libvirtd.uri} uvtool\n`, stderr: '' });
    const inner = world
      .commandLine(['path', NOBLE])
      .filter((word) => word !== '--connect' && word !== world.libvirtd.uri);
    const path = `${world.volumePath('noble', '20240423')}\n`;
    expect(await lease(NOBLE, '--', ...inner)).to.deep.equal({ status: 0, stdout: path, stderr: '' });
    expect(await lease(NOBLE, '--', 'virsh', '-q', 'pool-list', '--name')).to.include({ status: 0, stderr: '' });
  });

  it('passes every signal on, and ends with the command', async () => {
    const script = `trap 'n=$((n+1)); touch int$n; [ $n = 2 ] && exit 5' INT; touch int0; while :; do sleep 0.02; done`;
    const program = startProgram([...world.options, 'lease', 'run', NOBLE, '--', 'sh', '-c', script], world.root);
    for (const file of ['int0', 'int1']) {
      await until(() => exists(join(world.root, file)));
      expect(await readdir(leases)).to.have.lengthOf(1);
      program.kill('SIGINT');
    }
    expect(await program.ended).to.deep.equal({ status: 5, stdout: '', stderr: '' });
    expect(await readdir(leases)).to.deep.equal([]);
  });

  it('has the exit status of shells when a signal ends the command', async () => {
    expect(await lease(NOBLE, '--', 'sh', '-c', 'kill -TERM $$')).to.deep.equal({
      status: 143,
      stdout: '',
      stderr: '',
    });
  });

  it('outlasts its holder if that is killed, and is removed by the next once it has ended', async () => {
    const script = 'exec >&- 2>&-; touch killed; exec sleep 2';
    const program = startProgram([...world.options, 'lease', 'run', NOBLE, '--', 'sh', '-c', script], world.root);
    await until(() => exists(join(world.root, 'killed')));
    program.kill('SIGKILL');
    await program.ended;
    expect((await world.poolkeeper('lease', 'list')).stdout).to.match(
      new RegExp(`^ID .*\n[0-9a-f]{8}  ${NOBLE} 20240423  sh … +\\d+, gone  \\S+ +${TIME.source}\n$`),
    );
    const [name = ''] = await readdir(leases);
    const left = JSON.parse(await readFile(join(leases, name), 'utf8')) as Lease;
    // A boot has been since.
    const earlier = { bootId: 'the last one', createdAtUptime: left.createdAtUptime + 86_400_000 };
    await writeFile(join(leases, name), JSON.stringify({ ...left, ...earlier }));
    expect((await world.poolkeeper('lease', 'list')).stdout).to.equal('');
    expect((await lease(NOBLE, '--', 'ls', leases)).stdout)
      .to.match(/^[0-9a-f]{8}\.json\n$/)
      .and.not.equal(`${name}\n`);
  });

  it('warns when the command takes longer than it promised', async () => {
    const run = await lease('--ttl', '20ms', NOBLE, '--', 'sleep', '0.1');
    expect(run.status).to.equal(0);
    expect(run.stderr).to.match(
      /^poolkeeper: warning: lease [0-9a-f]{8} ended while sleep … was still running: its image may/,
    );
  });

  it('is listed, also as JSON, and can be released', async () => {
    const held = await holdOld();
    const expiresAt = new Date(held.expiresAt).toISOString();
    const { status, stdout, stderr } = await world.poolkeeper('lease', 'list');
    expect({ status, stdout: stdout.replaceAll(/ +/g, ' '), stderr }).to.deep.equal({
      status: 0,
      stdout: `ID IMAGE COMMAND PID HOST UNTIL\n3f2a9c01 ${NOBLE} 20240423 virt-install … 123, gone ${held.host} ${expiresAt}\n`,
      stderr: '',
    });
    expect(jsonLines((await world.poolkeeper('lease', 'list', '--json')).stdout)).to.deep.equal([
      {
        message_type: 'lease',
        id: '3f2a9c01',
        volume: old,
        command: 'virt-install …',
        pid: 123,
        host: held.host,
        is_process_gone: true,
        created_at: new Date(held.createdAt).toISOString(),
        expires_at: expiresAt,
      },
    ]);
    expect((await world.poolkeeper('lease', 'release', '3f2a9c01')).stdout).to.equal('released lease 3f2a9c01\n');
    expect(await world.poolkeeper('lease', 'release', '3f2a9c01')).to.include({ status: 4, stdout: '' });
    expect((await world.sync()).stdout).to.match(/^deleted /m);
  });

  it('is told by why, with the file that it stands in', async () => {
    await holdOld();
    const { stdout } = await world.poolkeeper('why', old);
    expect(stdout).to.match(
      /\n\nlease 3f2a9c01 \(virt-install …, pid 123, until \S+\)\n {2}needs volume uvtool\/\S+ \(\S+\/3f2a9c01\.json, field volumeName: \S+\)\n$/,
    );
  });

  it('keeps an image from purge, with force too', async () => {
    await holdOld();
    for (const force of [[], ['--force-in-use']]) {
      const run = await world.poolkeeper('purge', '--yes', ...force);
      expect([run.status, run.stdout]).to.deep.equal([16, '']);
      expect(run.stderr).to.include(
        `\n  image ${NOBLE} 20240423: needed by lease 3f2a9c01 (virt-install …, pid 123, until `,
      );
    }
    expect(await world.volumes()).to.deep.equal([old]);
  });

  it('keeps a foreign volume from orphans', async () => {
    await world.libvirtd.virsh('vol-create-as', 'uvtool', 'spare.qcow2', '1M', '--format', 'qcow2');
    const orphans = () => world.poolkeeper('orphans', '--delete', '--yes', '--min-age', '0', '--allow-mass-removal');
    await holdOld({ volumeName: 'spare.qcow2' });
    expect((await orphans()).stdout).not.to.include('spare.qcow2');
    await world.poolkeeper('lease', 'release', '3f2a9c01');
    expect((await orphans()).stdout).to.include('spare.qcow2');
    expect(await world.volumes()).to.deep.equal([old]);
  });

  for (const [title, change, isKept] of [
    ['has time left', {}, true],
    ['has ended by time', { createdAtUptime: 0 }, false],
    ['was ended by a reboot', { bootId: 'another', createdAtUptime: 10 ** 12 }, false],
    ['is damaged and tells its volume', { expiresAt: 1 }, true],
  ] as const) {
    it(`${isKept ? 'keeps' : 'does not keep'} an image when it ${title}`, async () => {
      await holdOld(change);
      expect((await world.sync()).status).to.equal(0);
      expect(await world.volumes()).to.deep.equal(isKept ? [old, fresh].sort() : [fresh]);
    });
  }

  it('keeps an image under another name of the boot, as a unit, a container and a shell have on one host [C5]', async () => {
    await holdOld({ bootId: 'another' });
    expect((await world.sync()).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([old, fresh].sort());
  });

  it('keeps everything when it is damaged and does not tell its volume, and says what to do', async () => {
    await writeFile(join(leases, '3f2a9c01.json'), '{');
    const run = await world.sync();
    expect(run.status).to.equal(13);
    expect(run.stderr)
      .to.match(/\n {2}lease '\S+\/3f2a9c01\.json': lease '\S+' is not JSON/)
      .and.include('remove the file');
    expect((await world.poolkeeper('lease', 'list')).stderr).to.match(
      /^poolkeeper: warning: lease '\S+' is not JSON; it counts as a lease\n/,
    );
    expect(await world.volumes()).to.deep.equal([old, fresh].sort());
  });

  it('that is taken while a sweep waits at the gate is seen by that sweep', async () => {
    const { context, options } = inProcess(world);
    await world.sync('--grace', '1h');
    await withConnection(options, async (connection) => {
      const session = await openSession(context, options, connection);
      const judge = () => judgePool(session, { now: Date.now(), graceMs: 0, minAgeMs: 0 }, { retired: new Set([old]) });
      await withLock(session, { command: 'test', fetcher: fetcherOf(context) }, async ({ environment }) => {
        const sweep = async () => {
          const { verdicts, folder } = await judge();
          return executeSweep(verdicts, {
            environment,
            folder,
            isHere: true,
            rejudge: async () => (await judge()).verdicts,
            afterDelete: async () => undefined,
          });
        };
        let sweeping: ReturnType<typeof sweep> | undefined;
        const choose = async () => {
          const volume = await lookupVolume(connection, 'uvtool', old);
          sweeping = sweep();
          // Only a lease that is not written yet can have been overlooked.
          expect((await judge()).verdicts.map(({ action }) => action)).to.deep.equal(['delete']);
          return volume;
        };
        const { pid, uid, signal } = context;
        const { paths } = session;
        const request = { paths, command: ['test'], ttlMs: 60_000, now: Date.now(), pid, uid, signal, choose };
        const outcomes = await withHeldImage(request, async () => sweeping);
        expect(outcomes?.map(({ result, volume }) => [result, volume.name])).to.deep.equal([['spared', old]]);
      });
    });
    expect(await world.volumes()).to.deep.equal([old, fresh].sort());
  });
});

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
