import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { jsonLines } from '../support/json-lines.ts';
import { HostTricks } from '../support/host-tricks.ts';
import { recordStage } from '../support/managed-images.ts';
import { disk, fateOf, fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { type Run, World } from '../support/world.ts';

const run = promisify(execFile);

describe('forget', () => {
  let world: World;
  const tricks = new HostTricks();
  let stages: Stage[];
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    stages = [...(await openStages(world, 14))];
  });
  beforeEach(() => {
    stage = stages.shift() ?? expect.fail('no stage');
  });
  afterEach(async () => {
    const domains = await world.libvirtd.virsh('list', '--all', '--name');
    for (const name of domains.split('\n').filter((line) => line !== '')) await world.libvirtd.virsh('undefine', name);
    for (const path of [...stage.needed, ...stage.twins]) await rm(path, { force: true });
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    await rm(join(world.root, 'state'), { recursive: true, force: true });
  });
  after(async () => {
    await tricks.undo();
    await world.stop();
  });

  it('lets what nothing else needs go after a name was forgotten, and nothing before [D7] [D1]', async () => {
    const twin = await stage.twin();
    await stage.define({ devices: fileDisk(`${stage.outside}/gone.qcow2`) });
    const blind = await sync();
    expect(blind.status).to.equal(13);
    // The remedy works as it stands there.
    const remedy = /: (poolkeeper forget .*gone\.qcow2)$/m.exec(blind.stderr)?.[1] ?? expect.fail(blind.stderr);
    const forgot = await world.poolkeeper(...remedy.split(' ').slice(1), '--reason', 'disk broke');
    expect(forgot).to.include({ status: 0, stderr: '' });
    expect(forgot.stdout).to.equal(`forgot '${stage.outside}/gone.qcow2': what it led to is gone for good\n`);
    const doctor = await world.poolkeeper('doctor');
    expect(doctor.stdout).to.match(/gone\.qcow2' counts as gone for good, as \w+ said on .* \(disk broke\)/);
    expect(await sync()).to.include({ status: 0, stderr: '' });
    expect((await fateOf(stage)).collected).to.deep.equal([twin]);
  });

  it('waits again for a name when the thing comes back, and when it goes the next time [D7]', async () => {
    const top = join(stage.outside, 'top.qcow2');
    await stage.define({ devices: fileDisk(top) });
    await forgetAll();
    const base = await stage.keep();
    await stage.overlay(top, base);
    const back = await sync();
    expect(back).to.include({ status: 0, stderr: '' });
    expect(back.stdout).to.include(`'${top}' is back, so it is no longer forgotten`);
    await rename(top, `${top}.away`);
    const twin = await stage.twin();
    expect((await sync()).status).to.equal(13);
    expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: [twin], collected: [] });
  });

  it('takes nothing back from what is named no longer, and asks again when something new names it [D7]', async () => {
    const top = join(stage.outside, 'top.qcow2');
    await stage.define({ devices: fileDisk(top) });
    await forgetAll();
    await stage.virsh(`undefine ${stage.domain()}`);
    expect((await sync()).stdout).to.include('so it is no longer forgotten');
    await stage.twin();
    await stage.define({ name: stage.domain('new'), devices: fileDisk(top) });
    expect((await sync()).status).to.equal(13);
  });

  it('forgets volumes and network names, and takes it back with --undo [D7]', async () => {
    await stage.define({
      devices:
        disk("pool='gone' volume='a b.qcow2'", { type: 'volume' }) +
        "<disk type='network'><driver name='qemu' type='qcow2'/><source protocol='nbd' name='x'><host name='127.0.0.1' port='1'/></source><target dev='vdb' bus='virtio'/></disk>",
    });
    await stage.twin();
    expect((await sync()).status).to.equal(13);
    expect((await world.poolkeeper('forget', 'gone/a b.qcow2', 'nbd:x')).status).to.equal(0);
    expect((await world.poolkeeper('forget', 'nbd:x')).stdout).to.include('was forgotten before');
    expect((await world.poolkeeper('forget', '--undo', 'nbd:x')).status).to.equal(0);
    expect((await world.poolkeeper('forget', '--undo', 'nbd:x')).status).to.equal(4);
    expect((await sync()).status).to.equal(13);
    expect((await world.poolkeeper('forget', 'nbd:x')).status).to.equal(0);
    expect(await sync()).to.include({ status: 0, stderr: '' });
    expect((await fateOf(stage)).uncollected).to.deep.equal([]);
  });

  it('takes a whole list by one command, by folder, with what only snapshots name apart [D7] [D8]', async () => {
    const folders = [join(stage.outside, 'one'), join(stage.outside, 'two')];
    for (const [index, folder] of folders.entries())
      await stage.define({ name: stage.domain(`${index}`), devices: fileDisk(`${folder}/top.qcow2`) });
    await mkdir(folders[0] ?? '');
    const snapshotted = await stage.image(join(folders[0] ?? '', 'snap.qcow2'));
    await stage.define({ name: stage.domain('s'), devices: fileDisk(snapshotted) });
    await stage.virsh(`snapshot-create-as ${stage.domain('s')} before`);
    await stage.define({ name: stage.domain('s'), devices: fileDisk(await stage.keep()) });
    await rm(snapshotted);
    const shown = await world.poolkeeper('forget', '--missing', '--dry-run');
    expect(shown.status, shown.stderr).to.equal(0);
    const lines = shown.stdout.split('\n');
    const at = (text: string): number => lines.findIndex((line) => line.includes(text));
    expect(at(`${folders[0]} (on /`)).to.be.greaterThan(-1);
    expect(at(`${folders[0]}/top.qcow2  domain ${stage.domain('0')}, inactive XML`)).to.equal(
      at(`${folders[0]} (on /`) + 1,
    );
    expect(at('named by nothing but snapshots')).to.be.greaterThan(at(`${folders[1]}/top.qcow2`));
    expect(at(snapshotted)).to.be.greaterThan(at('named by nothing but snapshots'));
    const digest = /^list (\w+): 3 name/m.exec(shown.stdout)?.[1] ?? expect.fail(shown.stdout);
    // Nothing is taken but the list that was shown.
    await stage.define({ name: stage.domain('more'), devices: fileDisk(`${stage.outside}/more.qcow2`) });
    const changed = await world.poolkeeper('forget', '--missing', '--yes', '--shown', digest);
    expect(changed.status).to.equal(13);
    expect(changed.stderr).to.include(`the list is not ${digest} any more`);
    await stage.virsh(`undefine ${stage.domain('more')}`);
    expect((await world.poolkeeper('forget', '--missing')).status).to.equal(1);
    const taken = await world.poolkeeper('forget', '--missing', '--yes', '--shown', digest, '--json');
    expect(taken.status).to.equal(0);
    const types = jsonLines(taken.stdout).map((line) => line['message_type']);
    expect(types).to.deep.equal([
      'absent_name',
      'absent_name',
      'absent_name',
      'absent_list',
      'forgotten',
      'forgotten',
      'forgotten',
    ]);
    expect((await world.poolkeeper('forget', '--missing')).stdout).to.include('every name leads to something');
    await stage
      .virsh(`snapshot-delete ${stage.domain('s')} before`)
      .catch(() => stage.virsh(`snapshot-delete ${stage.domain('s')} before --metadata`));
  });

  it('takes what lies below a configured mount point without its mount one by one alone [D7]', async () => {
    const [mount, other] = [join(stage.outside, 'mnt'), join(stage.outside, 'other')];
    await mkdir(mount);
    const fstab = join(stage.outside, 'fstab');
    await writeFile(fstab, `LABEL=vms ${mount} ext4 nofail 0 2\n`);
    await stage.define({ devices: fileDisk(`${mount}/a.qcow2`) + fileDisk(`${other}/b.qcow2`, 'vdb') });
    const all = await withFstab(fstab, 'forget', '--missing', '--yes');
    expect(all.stdout).to.include(`${mount} is not mounted, see /etc/fstab`);
    expect(all.stdout).to.include(`forgot '${other}/b.qcow2'`);
    expect(all.stdout).not.to.include(`forgot '${mount}/a.qcow2'`);
    const refused = await withFstab(fstab, 'forget', `${mount}/a.qcow2`);
    expect(refused.status).to.equal(1);
    const named = await withFstab(fstab, 'forget', `${mount}/a.qcow2`, '--yes');
    expect(named.stdout).to.include(`forgot '${mount}/a.qcow2'`);
  });

  it('refuses what leads somewhere, what nobody names and what holds nothing back, and changes nothing [D7]', async () => {
    const here = await stage.image(join(stage.outside, 'here.qcow2'));
    await stage.define({
      devices: fileDisk(here) + disk("file='/nowhere-at-all/raw.img'", { format: 'raw', target: 'vdb' }),
    });
    for (const name of [here, '/nowhere-at-all/unnamed', '/nowhere-at-all/raw.img', 'gone/volume']) {
      const refused = await world.poolkeeper('forget', name);
      expect(refused.status, name).to.equal(4);
    }
    for (const words of [
      [],
      ['--missing', '/x'],
      ['relative'],
      ['--shown', 'x', '/x'],
      ['/x', '--reason', 'two\nlines'],
    ])
      expect((await world.poolkeeper('forget', ...words)).status, words.join(' ')).to.equal(2);
    expect((await world.poolkeeper('doctor')).stdout).to.include('no name was forgotten');
  });

  it('waits for all names again when what was said of them cannot be read [D7]', async () => {
    await stage.twin();
    await stage.define({ devices: fileDisk(`${stage.outside}/gone.qcow2`) });
    await forgetAll();
    const [file = ''] = (await run('find', [join(world.root, 'state/forgotten'), '-name', '*.json'])).stdout
      .trim()
      .split('\n');
    await writeFile(file, (await readFile(file, 'utf8')).slice(0, 40));
    expect((await sync()).status).to.equal(13);
    const doctor = await world.poolkeeper('doctor');
    expect(doctor.stdout).to.include('the names in it are waited for');
  });

  it('says why a name is needed that leads to nothing, of files and of volumes', async () => {
    await stage.overlay(join(stage.pool, `${stage.key}.qcow2`), '/nowhere-at-all/base.qcow2');
    stage.needed.push(join(stage.pool, `${stage.key}.qcow2`));
    await stage.define({ devices: disk("pool='gone' volume='top.qcow2'", { type: 'volume' }) });
    await stage.virsh('pool-refresh uvtool');
    const file = await world.poolkeeper('why', '/nowhere-at-all/base.qcow2');
    expect(file.stdout).to.include('file /nowhere-at-all/base.qcow2, which is not there');
    expect(file.stdout).to.include(`${stage.key}.qcow2`);
    expect(file.stdout).to.include('poolkeeper forget /nowhere-at-all/base.qcow2');
    const volume = await world.poolkeeper('why', 'gone/top.qcow2');
    expect(volume.stdout).to.include('volume gone/top.qcow2, which is not there');
    expect(volume.stdout).to.include(`domain ${stage.domain()}`);
    expect((await world.poolkeeper('why', '/nowhere-at-all/unnamed')).status).to.equal(4);
    expect((await world.poolkeeper('why', 'gone/other')).status).to.equal(4);
  });

  it('tells at length what it cannot see when that changes and after a week, and else in a line [D9]', async () => {
    await stage.twin();
    await stage.define({ devices: fileDisk('/nowhere-at-all/top.qcow2') });
    expect((await sync()).stderr).to.include('image /nowhere-at-all/top.qcow2: nothing is there');
    const again = await sync();
    expect(again.status).to.equal(13);
    expect(again.stderr).to.match(/did not delete 1 unused volume\(s\).*: the same as on 20/);
    expect(again.stderr).not.to.include('top.qcow2');
    await stage.define({ name: stage.domain('b'), devices: fileDisk('/nowhere-at-all/b.qcow2') });
    expect((await sync()).stderr).to.include('/nowhere-at-all/b.qcow2');
    await backAWeek();
    expect((await sync()).stderr).to.include('/nowhere-at-all/b.qcow2');
    // Without anything to hold back, it is a word and no failure, and a word once a week too.
    for (const path of stage.twins) await rm(path, { force: true });
    const still = await sync();
    expect(still).to.include({ status: 0, stderr: '' });
    await backAWeek();
    const weekly = await sync('--metrics-file', join(world.root, 'metrics.prom'));
    expect(weekly.status).to.equal(0);
    expect(weekly.stderr).to.include('warning: not everything can be seen').and.include('/nowhere-at-all/b.qcow2');
    expect(await readFile(join(world.root, 'metrics.prom'), 'utf8')).to.include(
      'poolkeeper_blind_spots{pool="uvtool"} 2',
    );
  });

  it('names in doctor what no run can see [D12]', async () => {
    const doctor = await world.poolkeeper('doctor');
    for (const text of ['wrapper scripts', 'virsh save', 'TFTP roots', 'hosts without poolkeeper', 'containers'])
      expect(doctor.stdout.replaceAll(/\s+/g, ' ')).to.include(text);
  });

  async function sync(...args: readonly string[]): Promise<Run> {
    await recordStage(world, stage);
    return world.sync('arch=amd64', '--allow-mass-removal', ...args);
  }

  async function forgetAll(): Promise<void> {
    expect((await world.poolkeeper('forget', '--missing', '--yes')).status).to.equal(0);
  }

  /** Moves the note of what was said back by a week. */
  async function backAWeek(): Promise<void> {
    const found = await run('find', [join(world.root, 'state/pools'), '-name', 'blind-spots.json']);
    const file = found.stdout.trim();
    const note = JSON.parse(await readFile(file, 'utf8')) as { saidAt: number };
    await writeFile(file, JSON.stringify({ ...note, saidAt: note.saidAt - 7 * 86_400_000 }));
    await utimes(file, 0, 0);
    expect(basename(file)).to.equal('blind-spots.json');
  }

  /** Runs the program where another file is this host's /etc/fstab. */
  async function withFstab(fstab: string, ...args: readonly string[]): Promise<Run> {
    const [command = '', ...words] = world.commandLine(args);
    const script = 'mount --make-rprivate / && mount --bind "$0" /etc/fstab && exec "$@"';
    const env = { PATH: process.env['PATH'], HOME: world.root, POOLKEEPER_CONFIG: '/dev/null', NO_COLOR: '1' };
    return run('unshare', ['-m', 'sh', '-c', script, fstab, command, ...words], { env, cwd: world.root }).then(
      ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => ({ ...error, status: error.code }),
    );
  }
});
