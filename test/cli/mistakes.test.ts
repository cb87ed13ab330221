import { expect } from 'chai';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/cli.ts';
import { acquireLock } from '../../src/state/lock.ts';
import { compareWithGolden } from '../support/golden.ts';
import { openGpgHome } from '../support/gpg.ts';
import { contextIn } from '../support/in-process.ts';
import { createQcow2 } from '../support/qemu.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { type Run, runAsStranger, World } from '../support/world.ts';
import { type Circumstance, CONFIGURATIONS, type Mistake, MISTAKES } from './mistake-list.ts';

const SERVER = 'http://images.test/';

describe('what a tired administrator gets wrong', () => {
  let world: World;
  let disk: SmallDisk;
  let smallPool: SmallDisk;
  let runs: readonly { readonly what: string; readonly line: string; readonly run: Run }[];
  let golden = '';
  let images: readonly [unknown, unknown];

  before(async () => {
    world = await World.start();
    await world.createPool();
    disk = await SmallDisk.mount(join(world.root, 'disk'), { sizeKib: 256 });
    smallPool = await SmallDisk.mount(join(world.libvirtd.root, 'small'), { sizeKib: 512, mode: '777' });
    await writeFiles();
    await addImages();
    // A pool that is not active would be told of by each of these.
    await addPools();
    const before = await imageFiles();
    await makeMistakes();
    images = [before, await imageFiles()];
  });
  after(async () => {
    await disk.unmount();
    await smallPool.unmount();
    await world.stop();
  });

  async function writeFiles(): Promise<void> {
    const file = (name: string): string => join(world.root, name);
    await writeFile(file('config.yaml'), world.configuration());
    for (const [name, text] of Object.entries(CONFIGURATIONS)) await writeFile(file(name), text);
    await writeFile(file('file'), '');
    await writeFile(file('node.xml'), NODE);
    await mkdir(file('folder'));
    await mkdir(file('private'), { mode: 0 });
    await chmod(world.root, 0o755);
    await world.image('disk');
    await createQcow2(file('hostile.img'), { sizeBytes: 2 ** 20, backing: '/etc/shadow', backingFormat: 'raw' });
    const gpg = await openGpgHome();
    await writeFile(file('other.gpg'), await gpg.exportKeys([await gpg.createKey()]));
    await gpg.close();
  }

  async function addPools(): Promise<void> {
    for (const name of ['idle', 'small'])
      await world.libvirtd.virsh('pool-define-as', name, 'dir', '--target', join(world.libvirtd.root, name));
    await world.libvirtd.virsh('pool-start', 'small');
  }

  async function addImages(): Promise<void> {
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
    for (const line of ['sync arch=amd64', 'import /host/disk.img --name golden', 'lock local:golden'])
      expect(await runLine(line)).to.include({ status: 0, stderr: '' });
    await world.define('web1', { path: world.volumePath('jammy', '20240301'), format: 'qcow2' });
    await world.libvirtd.virsh('vol-create-as', 'uvtool', 'web1', '64K');
    expect(await runLine('gc --out /host/plan.json')).to.include({ status: 0, stderr: '' });
    const plan = await readFile(join(world.root, 'plan.json'), 'utf8');
    await writeFile(join(world.root, 'edited.json'), plan.replace(/"graceMs": \d+/, '"graceMs": 0'));
  }

  /** Everything that a mistake must not touch. */
  async function imageFiles(): Promise<unknown> {
    const files = Object.entries(await world.tree()).filter(
      ([path]) => path !== world.poolPath && !path.includes('/state'),
    );
    return { files, volumes: await world.volumes() };
  }

  async function makeMistakes(): Promise<void> {
    const made = [];
    for (const [title, mistakes] of Object.entries(MISTAKES)) {
      golden += `${golden === '' ? '' : '\n'}${title}\n${'='.repeat(title.length)}\n`;
      for (const [what, mistake] of Object.entries(mistakes)) {
        const [line, when] = typeof mistake === 'string' ? [mistake] : mistake;
        const outcome = await make(mistake);
        made.push({ what, line, run: outcome });
        golden += `\n# ${what}${when === undefined ? '' : `, ${when}`}\n$ poolkeeper ${line}\n`.replace(/ \n/, '\n');
        golden += `${plain(outcome.stderr)}[${outcome.status}]\n`;
      }
    }
    runs = made;
  }

  async function make(mistake: Mistake): Promise<Run> {
    if (typeof mistake === 'string') return runLine(mistake);
    const [line, when] = mistake;
    return circumstances[when](line);
  }

  const circumstances: Readonly<Record<Circumstance, (line: string) => Promise<Run>>> = {
    'while another run holds the pool': async (line) => {
      const owner = { command: 'poolkeeper sync', pid: 4242, host: 'kvm1', since: '2026-11-25T03:12:00.000Z' };
      const uuid = (await world.libvirtd.virsh('pool-uuid', 'uvtool')).trim();
      const lock = await acquireLock(join(world.root, 'state/pools', uuid, 'lock'), owner);
      return runLine(line).finally(() => lock.release());
    },
    'on a full disk': async (line) => {
      await disk.fill(0);
      return runLine(line);
    },
    'on a read-only disk': async (line) => {
      await disk.makeReadOnly(true);
      return runLine(line);
    },
    'as a stranger': (line) => runAsStranger(wordsOf(line), world.root),
  };

  /** Runs a command line in this process, with the host's configuration. */
  async function runLine(line: string): Promise<Run> {
    const { context, written } = contextIn(world.root);
    const words = wordsOf(line);
    const behind = words.includes('--') ? words.slice(words.indexOf('--') + 1) : [];
    const env = { PATH: process.env['PATH'], HOME: world.root, POOLKEEPER_CONFIG: join(world.root, 'config.yaml') };
    const status = await run(words, { ...context, env, wordsBehindDashes: behind });
    return { status, ...written };
  }

  function wordsOf(line: string): readonly string[] {
    const { host } = new URL(world.server.url);
    const words = line.split(' ').filter((word) => word !== '');
    return words.map((word) =>
      word
        .replace("''", '')
        .replace('/var/lib/libvirt', world.libvirtd.root)
        .replace(/(?<=^|=|\/\/)\/host\b/, world.root)
        .replace(/(?<=\/\/(me:secret@)?)images\.test(?=\/)/, host),
    );
  }

  /** What was said, with the names of the golden file. */
  function plain(text: string): string {
    return text
      .replaceAll(world.libvirtd.uri, 'qemu:///system')
      .replaceAll(world.server.url, SERVER)
      .replaceAll(new URL(world.server.url).host, 'images.test')
      .replaceAll(world.libvirtd.root, '/var/lib/libvirt')
      .replaceAll(world.root, '/host')
      .replaceAll(/metadata-dirs\/[0-9a-f]{64}/g, 'metadata-dirs/HASH')
      .replaceAll(/found [0-9a-f]{64}/g, 'found DIGEST')
      .replaceAll(/\d{8}T\d{6}Z/g, 'TIME')
      .replaceAll(/x-uvt-b64-[\w=-]+/g, 'VOLUME')
      .replaceAll(/key [0-9A-F]{16}/g, 'key KEY');
  }

  it('is answered as the golden file says', () => compareWithGolden('mistakes.txt', golden));

  it('is never answered without saying what mends it', () => {
    const bare = runs.filter(({ run: { stderr } }) => !/^poolkeeper: hint: \S/m.test(stderr));
    expect(bare.map(({ what, line }) => `${what}: ${line}`)).to.deep.equal([]);
  });

  it('is never answered with a stack or with nothing', () => {
    const odd = runs.filter(
      ({ run: { stderr } }) => !/^poolkeeper: (error|warning): /.test(stderr) || /bug|^ +at /m.test(stderr),
    );
    expect(odd.map(({ what }) => what)).to.deep.equal([]);
  });

  it('harms no image', () => expect(images[1]).to.deep.equal(images[0]));
});

/** A host of libvirt's test driver with a pool that holds logical volumes. */
const NODE = `<node><pool type='logical'><name>vg0</name>
<uuid>dfe224cb-28fb-8dd0-c4b2-64eb3f0f4566</uuid>
<source><name>vg0</name></source><target><path>/dev/vg0</path></target></pool></node>`;
