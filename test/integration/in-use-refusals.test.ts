import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, cp, lstat, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { BLIND_SPOTS } from '../support/scenario-blind-spots.ts';
import { disk, fateOf, fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { type Run, runProgram, UNCOVERED, World } from '../support/world.ts';
import { recordStage } from '../support/managed-images.ts';

const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));

describe('sync that cannot see everything', () => {
  let world: World;
  let stages: readonly Stage[];
  let blind: Run;
  let mending: Run;
  let seeing: Run;
  let collectedWhileBlind: readonly string[];
  let collectedWhileMending: readonly string[];
  let broken: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    stages = await openStages(world, BLIND_SPOTS.length + 1);
    for (const [index, spot] of BLIND_SPOTS.entries()) await act(index, (stage) => spot.hide(stage));
    for (const stage of stages) await stage.twin();
    broken = stages[BLIND_SPOTS.length] ?? expect.fail('no stage');
    await writeFile(broken.twinPath('broken'), Buffer.from('QFI\xfb\0\0\0\x02', 'latin1'));
    for (const stage of stages) await recordStage(world, stage);
    blind = await syncWithoutTools();
    collectedWhileBlind = await collected();
    for (const [index, spot] of BLIND_SPOTS.entries()) await act(index, (stage) => spot.clear(stage));
    mending = await world.sync('arch=amd64', '--allow-mass-removal');
    collectedWhileMending = await collected();
    seeing = await world.sync('arch=amd64', '--allow-mass-removal');
  });
  after(() => world.stop());

  it('deletes nothing and exits with the status for an incomplete view', () => {
    expect(blind.status).to.equal(13);
    expect(collectedWhileBlind).to.deep.equal([]);
  });

  it('deletes garbage that is the only thing that cannot be understood, and says what had to wait for that', () => {
    expect(collectedWhileMending).to.deep.equal([broken.twins[1]]);
    expect(mending.status).to.equal(13);
    expect(mending.stderr).to.include(`did not delete ${stages.length} unused volume(s)`);
  });

  for (const [index, { title, says, remedy }] of BLIND_SPOTS.entries()) {
    it(`names ${title}, and what would clear it`, () => {
      const stage = stages[index] ?? expect.fail('no stage');
      const line = blind.stderr.split('\n').find((candidate) => candidate.includes(says(stage)));
      expect(line, blind.stderr).to.include(remedy(stage));
    });
  }

  it('collects everything as soon as nothing is hidden any more', async () => {
    expect({ status: seeing.status, stderr: seeing.stderr }).to.deep.equal({ status: 0, stderr: '' });
    for (const stage of stages) expect((await fateOf(stage)).uncollected).to.deep.equal([]);
  });

  async function act(index: number, action: (stage: Stage) => Promise<void>): Promise<void> {
    await action(stages[index] ?? expect.fail('no stage'));
  }

  async function collected(): Promise<readonly string[]> {
    return (await Promise.all(stages.map((stage) => fateOf(stage)))).flatMap((fate) => fate.collected);
  }

  async function syncWithoutTools(): Promise<Run> {
    const source = ['--source', world.server.url, '--keyring', world.keyring, '--grace', '0', '--min-age', '0'];
    return runProgram(['sync', 'arch=amd64', ...source, '--allow-mass-removal', ...world.options], world.root, {
      PATH: '/nowhere',
    });
  }
});

describe('sync by a user who may not read everything', () => {
  let world: World;
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    [stage = expect.fail('no stage')] = await openStages(world, 1);
    await stage.twin();
    await recordForDaemonUser(world, stage);
  });
  after(() => world.stop());

  it('names an overlay and a folder that it cannot read, and collects once it can', async () => {
    const overlay = await stage.overlay(join(stage.outside, 'top'), '/nowhere-else/base');
    await stage.image(join(stage.outside, 'closed'));
    const closed = [overlay, join(stage.pool, 'closed.d')];
    await mkdir(join(stage.pool, 'closed.d'));
    await world.libvirtd.give(join(stage.pool, 'closed.d'));
    for (const path of closed) await chmod(path, 0);
    await stage.define({ devices: fileDisk(overlay) });
    const run = await syncAsDaemonUser(world);
    expect(run.status).to.equal(13);
    expect(run.stderr).to.match(new RegExp(`file ${overlay}: cannot open image .*; make it readable`));
    expect(run.stderr).to.match(new RegExp(`folder ${stage.pool}/closed.d: it cannot be read: .*; make it readable`));
    expect((await fateOf(stage)).collected).to.deep.equal([]);
    await stage.image(overlay);
    for (const path of closed) await chmod(path, 0o755);
    expect(await syncAsDaemonUser(world)).to.include({ status: 0, stderr: '' });
    expect((await fateOf(stage)).uncollected).to.deep.equal([]);
  });
});

describe('sync beside images that are gone for good', () => {
  let world: World;
  let run: Run;
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    [stage = expect.fail('no stage')] = await openStages(world, 1);
    await stage.twin();
    const iso = join(stage.outside, 'gone/install.iso');
    const media = (device: string, target: string, bus: string): string =>
      `<disk type='file' device='${device}'><source file='${iso}' startupPolicy='optional'/><target dev='${target}' bus='${bus}'/></disk>`;
    const raw = disk(`file='${join(stage.outside, 'gone/data.img')}'`, { format: 'raw' });
    const volume = disk("pool='gone' volume='data.img'", { type: 'volume', format: 'raw', target: 'vdb' });
    const log = `<serial type='file'><source path='${join(stage.outside, 'gone/serial.qcow2')}'/></serial>`;
    await stage.define({
      os: `<kernel>${stage.outside}/gone/vmlinuz</kernel>`,
      devices: media('cdrom', 'hdc', 'ide') + media('floppy', 'fda', 'fdc') + raw + volume + log,
    });
    const stopped = await world.libvirtd.poolDir('stopped');
    await stage.image(join(stopped, 'any.qcow2'));
    await stage.virsh(`pool-define-as stopped dir --target ${stopped}`);
    await recordStage(world, stage);
    run = await world.sync('arch=amd64', '--allow-mass-removal');
  });
  after(() => world.stop());

  it('goes on, since nothing can stand behind what is raw, or no image [D5]', async () => {
    expect({ status: run.status, stderr: run.stderr }).to.deep.equal({ status: 0, stderr: '' });
    expect((await fateOf(stage)).uncollected).to.deep.equal([]);
  });
});

describe('sync into a pool that libvirt cannot refresh', () => {
  let world: World;
  let run: Run;
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    await world.sync('arch=amd64');
    [stage = expect.fail('no stage')] = await openStages(world, 1);
    await stage.keep();
    await stage.virsh('pool-refresh uvtool');
    await rename(world.poolPath, `${world.poolPath}-away`);
    run = await world.sync('arch=amd64', '--allow-mass-removal');
  });
  after(() => world.stop());

  it('says that libvirt stopped the pool, and how to go on', async () => {
    expect(run.status).to.equal(10);
    expect(run.stderr).to.match(/error: cannot refresh pool 'uvtool', and libvirt has stopped it: .*No such file/);
    expect(run.stderr).to.match(/hint: .*virsh pool-start uvtool/);
    expect(await stage.virsh('pool-list --inactive --name')).to.include('uvtool');
  });

  it('loses neither volumes nor metadata', async () => {
    await rename(`${world.poolPath}-away`, world.poolPath);
    await stage.virsh('pool-start uvtool');
    expect(await world.volumes()).to.deep.equal(
      [...stage.needed.map((path) => basename(path)), world.volumeName('noble', '20240821')].sort(),
    );
    expect((await world.poolkeeper('query')).stdout).to.include('noble');
    await lstat(join(world.metadata, world.volumeName('noble', '20240821')));
  });
});

/** Writes records where `syncAsDaemonUser` reads them. */
async function recordForDaemonUser(world: World, stage: Stage): Promise<void> {
  await recordStage(world, stage);
  const home = await world.libvirtd.poolDir('home');
  await cp(join(world.root, 'state'), join(home, 'state'), { recursive: true });
  for (const name of ['', ...(await readdir(join(home, 'state'), { recursive: true }))])
    await world.libvirtd.give(join(home, 'state', name));
}

/** Runs sync as the user of the daemon, who is not root even where the tests are. */
async function syncAsDaemonUser(world: World): Promise<Run> {
  const home = await world.libvirtd.poolDir('home');
  const keyring = join(home, 'keyring.gpg');
  await copyFile(world.keyring, keyring);
  await chmod(keyring, 0o644);
  const places = ['--state-dir', `${home}/state`, '--cache-dir', `${home}/cache`, '--metadata-dir', `${home}/metadata`];
  const source = ['--source', world.server.url, '--keyring', keyring, '--grace', '0', '--min-age', '0'];
  const connect = ['--connect', world.libvirtd.uri, '--allow-mass-removal'];
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
  const [command, ...args] = [...user, process.execPath, PROGRAM, 'sync', 'arch=amd64'];
  // The coverage of this process goes where that user may not write.
  const env = { PATH: process.env['PATH'], HOME: home, ...UNCOVERED };
  const child = spawn(command, [...args, ...source, ...connect, ...places], { cwd: home, env });
  const exit = once(child, 'exit');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: Number((await exit)[0]), stdout, stderr };
}
