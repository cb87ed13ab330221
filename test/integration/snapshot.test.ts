import { expect } from 'chai';
import { jsonLines } from '../support/json-lines.ts';
import { addPersistent, type PersistentFixture } from '../support/persistent-image.ts';
import { qemuImg, qemuIo } from '../support/qemu.ts';
import { World } from '../support/world.ts';

const BLOCK = '64k';

interface ShownSnapshot {
  readonly name: string;
  readonly volume: string;
  readonly parent: string | null;
  readonly is_current: boolean;
  readonly children: readonly string[];
}

describe('snapshots of a persistent image that a domain uses', () => {
  let world: World;
  let image: PersistentFixture;

  before(async () => {
    world = await World.start();
    await world.createPool();
    image = await addPersistent(world, 'data');
    await world.define('web1', { path: image.path });
  });
  after(() => world.stop());

  async function snapshot(...args: readonly string[]): Promise<string> {
    const run = await world.poolkeeper('snapshot', ...args);
    expect({ status: run.status, stderr: run.stderr }, args.join(' ')).to.deep.equal({ status: 0, stderr: '' });
    return run.stdout;
  }

  async function list(): Promise<readonly ShownSnapshot[]> {
    return jsonLines(await snapshot('list', 'data', '--json')) as unknown as ShownSnapshot[];
  }

  /** Snapshots by name with what they stand on, a star for the one that the image stands on. */
  async function tree(): Promise<Readonly<Record<string, string>>> {
    const lines = (await list()).map((shown) => [shown.name + (shown.is_current ? '*' : ''), shown.parent ?? '-']);
    return Object.fromEntries(lines) as Record<string, string>;
  }

  async function volumeOf(name: string): Promise<string> {
    return (await list()).find((shown) => shown.name === name)?.volume ?? '';
  }

  /** Starts the domain, and says which files QEMU then has open, the outermost first. */
  async function chainOfDomain(): Promise<readonly string[]> {
    await world.libvirtd.virsh('start', '--paused', 'web1');
    const xml = await world.libvirtd.virsh('dumpxml', 'web1');
    await world.libvirtd.virsh('destroy', 'web1');
    return [...xml.matchAll(/<source file='[^']*\/([^'/]*)'/g)].map(([, name = '']) => name);
  }

  async function why(name: string): Promise<string> {
    return (await world.poolkeeper('why', await volumeOf(name))).stdout;
  }

  /** The chain that keeps a snapshot, from the outermost on. */
  async function linksTo(name: string): Promise<readonly string[]> {
    const lines = (await why(name)).split('\n');
    return lines
      .flatMap((line) => /^ *(?:needs volume uvtool\/(\S+)|(domain \S+)$)/.exec(line)?.slice(1) ?? [])
      .filter(Boolean);
  }

  it('keep the first content when another is written', async () => {
    await qemuIo(image.path, `write -P 0x61 0 ${BLOCK}`);
    expect(await chainOfDomain()).to.deep.equal([image.volumeName]);
    await snapshot('create', 'data', 'first');
    await qemuIo(image.path, `write -P 0x62 0 ${BLOCK}`);
    expect(await tree()).to.deep.equal({ 'first*': '-' });
    await qemuIo(image.path, `read -P 0x62 0 ${BLOCK}`);
    const first = await volumeOf('first');
    expect(await chainOfDomain()).to.deep.equal([image.volumeName, first]);
    expect(await why('first')).to.match(/^ {2}kept in any case: .* is a snapshot of a persistent image$/m);
    expect(await linksTo('first')).to.deep.equal(['domain web1', image.volumeName, first]);
  });

  it('keep the second content beside the first when the image goes back to that', async () => {
    await snapshot('create', 'data', 'second');
    await qemuIo(image.path, `write -P 0x63 0 ${BLOCK}`);
    const report = await snapshot('revert', 'data', 'first', '--yes');
    expect(report.replace(/: \d+ KiB$/m, ': some')).to.equal(
      "image data loses what was written to it since snapshot 'second': some\n" +
        "reverted image data to snapshot 'first'\n",
    );
    await qemuIo(image.path, `read -P 0x61 0 ${BLOCK}`);
    expect(await tree()).to.deep.equal({ 'first*': '-', second: 'first' });
    expect(await chainOfDomain()).to.deep.equal([image.volumeName, await volumeOf('first')]);
    expect(await why('second'))
      .to.include('is a snapshot of a persistent image')
      .and.not.to.include('domain web1');
  });

  it('make a branch when a snapshot is taken after that', async () => {
    await snapshot('create', 'data', 'third');
    expect(await tree()).to.deep.equal({ first: '-', second: 'first', 'third*': 'first' });
  });

  it('remain when the image is made to stand on nothing', async () => {
    await snapshot('flatten', 'data');
    expect(await tree()).to.deep.equal({ first: '-', second: 'first', third: 'first' });
    await qemuIo(image.path, `read -P 0x61 0 ${BLOCK}`);
    expect(await qemuImg('check', image.path)).to.include('No errors were found');
    expect(await chainOfDomain()).to.deep.equal([image.volumeName]);
    expect(await world.volumes()).to.have.lengthOf(4);
    expect(await why('first'))
      .to.include('needed through 2 references')
      .and.not.to.include('domain web1');
  });
});
