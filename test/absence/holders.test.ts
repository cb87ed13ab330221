import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { COMMANDS } from '../../src/commands/commands.ts';
import { decodeVolumeName } from '../../src/core/identity.ts';
import { readRecords } from '../../src/state/records.ts';
import { sha256Of } from '../support/aftermath.ts';
import { asUser, HOLDERS, HostTricks, inUnit, openSocket, SECOND_USER, type Undoable } from '../support/host-tricks.ts';
import { runInProcess } from '../support/in-process.ts';
import { addManagedImages, managedImage, type NewManagedImage, thoseThere } from '../support/managed-images.ts';
import { addPersistent, pathsOf, type PersistentFixture } from '../support/persistent-image.ts';
import { qemuIo } from '../support/qemu.ts';
import { type Run, UNCOVERED, World } from '../support/world.ts';

const execute = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));
const AT_ONCE = ['--grace', '0', '--min-age', '0', '--allow-mass-removal'];
const FREE = 'free';

/** A file that is there beside one that is held, of the same kind in every other way. */
interface HeldAndFree {
  readonly held: readonly { readonly path: string }[];
  readonly free: { readonly path: string };
}

/** How a command is made to delete an image for each holder and one that nobody holds. */
interface Sweeping {
  /** The command, as `COMMANDS` has it, and the words behind its name. */
  readonly form: string;
  readonly images: Omit<NewManagedImage, 'product'>;
  /** Done before anything is held. */
  readonly prepare?: (world: World) => Promise<void>;
  readonly words: (world: World, volumes: readonly string[]) => readonly string[];
  /** Whether it is run for each volume alone, since it does nothing at all when one of them must stay. */
  readonly isForEach?: boolean;
  /** After a run that kept something, if another run needs other words. */
  readonly again?: (world: World, volumes: readonly string[]) => readonly string[];
}

const SWEEPING: readonly Sweeping[] = [
  {
    form: 'sync',
    images: {},
    prepare: (world) => world.publishRelease('noble', '20240401'),
    words: (world) => ['sync', '--source', world.server.url, '--keyring', world.keyring, ...AT_ONCE],
  },
  {
    form: 'sync --create-pool',
    images: {},
    prepare: (world) => world.publishRelease('noble', '20240401'),
    words: ({ poolPath, server, keyring }) =>
      ['sync', `--create-pool=${poolPath}`, '--source', server.url, '--keyring', keyring].concat(AT_ONCE),
  },
  { form: 'gc', images: {}, words: () => ['gc', '--yes', ...AT_ONCE] },
  {
    form: 'apply',
    images: {},
    prepare: async (world) => {
      await rm(join(world.root, 'plan'), { force: true });
      await world.poolkeeper('gc', '--out', join(world.root, 'plan'), ...AT_ONCE);
      await chmod(join(world.root, 'plan'), 0o644);
    },
    words: (world) => ['apply', join(world.root, 'plan'), '--allow-mass-removal'],
    again: () => ['gc', '--yes', ...AT_ONCE],
  },
  {
    form: 'delete',
    images: { status: 'active' },
    words: (_world, volumes) => ['delete', '--now', ...volumes],
    isForEach: true,
    // What was held while it was asked for was refused or retired; both can be asked for again.
    again: (_world, volumes) => ['delete', '--now', ...volumes],
  },
  { form: 'purge', images: { status: 'active' }, words: () => ['purge', '--yes'] },
];

describe('whatever holds an image open', () => {
  let world: World;
  let tricks: HostTricks;
  let work: string;

  before(async () => {
    process.on('SIGIO', ignore);
    world = await World.start();
    await chmod(world.root, 0o755);
    await world.createPool();
    await openSocket(world.libvirtd.root);
  });
  beforeEach(async () => {
    await world.reset();
    tricks = new HostTricks();
    work = join(world.libvirtd.root, 'work');
    await mkdir(work, { recursive: true });
  });
  afterEach(async () => {
    await tricks.undo();
    await rm(work, { recursive: true, force: true });
  });
  after(async () => {
    process.off('SIGIO', ignore);
    await world.stop();
  });

  /** An image for each way to hold one, each held so, and one that nobody holds. */
  async function holdAll(images: Omit<NewManagedImage, 'product'>, prepare?: (world: World) => Promise<void>) {
    const products = [...HOLDERS.map((kind) => kind.replaceAll(' ', '-')), FREE];
    const made = await addManagedImages(
      world,
      products.map((product) => ({ product, ...images })),
    );
    await prepare?.(world);
    const held = made.slice(0, -1);
    const holders = await hold(held);
    const free = made.at(-1) ?? expect.fail('no image');
    return { held, free, holders, volumes: made.map(({ volumeName }) => volumeName) };
  }

  async function hold(files: readonly { readonly path: string }[]): Promise<readonly Undoable[]> {
    const holders: Undoable[] = [];
    for (const [index, kind] of HOLDERS.entries()) {
      holders.push(await tricks.hold(kind, files[index]?.path ?? expect.fail('no file'), work));
    }
    return holders;
  }

  async function expectHeldStay({ held, free }: HeldAndFree, digests: readonly string[], run: Run): Promise<void> {
    const text = `${run.stdout}${run.stderr}`;
    expect(namesOf(await thoseThere(held)), text).to.deep.equal(namesOf(held));
    expect(await Promise.all(held.map(({ path }) => sha256Of(path))), text).to.deep.equal(digests);
    expect(namesOf(await thoseThere([free])), text).to.deep.equal([]);
  }

  for (const { form, images, prepare, words, again = words, isForEach = false } of SWEEPING) {
    it(`keeps it from ${form}, in each of ${HOLDERS.length} ways, and no longer than it does [C1, G2]`, async () => {
      const { held, free, holders, volumes } = await holdAll(images, prepare);
      const digests = await Promise.all(held.map(({ path }) => sha256Of(path)));
      const parts = isForEach ? volumes.map((volume) => [volume]) : [volumes];
      let run: Run = { status: 0, stdout: '', stderr: '' };
      for (const part of parts) {
        const { status, stdout, stderr } = await world.poolkeeper(...words(world, part));
        run = { status, stdout: run.stdout + stdout, stderr: run.stderr + stderr };
      }
      await expectHeldStay({ held, free }, digests, run);
      for (const holder of holders) await holder.undo();
      const second = await world.poolkeeper(...again(world, volumes.slice(0, -1)));
      expect(namesOf(await thoseThere(held)), `${second.stdout}${second.stderr}`).to.deep.equal([]);
    });
  }

  it(`keeps it from orphans, in each of ${HOLDERS.length} ways, and no longer than it does [C1, B4, G2]`, async () => {
    const template = managedImage(world, 'template');
    await addManagedImages(world, [{ product: 'template', status: 'deactivated' }]);
    const files = [...HOLDERS, FREE].map((kind) => ({
      path: join(world.poolPath, `${kind.replaceAll(' ', '-')}.qcow2`),
    }));
    for (const { path } of files) await cp(template.path, path, { preserveTimestamps: true });
    for (const { path } of files) await world.libvirtd.give(path);
    const [held, free] = [files.slice(0, -1), files.at(-1) ?? expect.fail('no file')];
    const digests = await Promise.all(held.map(({ path }) => sha256Of(path)));
    const holders = await hold(held);
    const words = ['orphans', '--delete', '--yes', '--min-age', '0', '--allow-mass-removal'];
    await expectHeldStay({ held, free }, digests, await world.poolkeeper(...words));
    for (const holder of holders) await holder.undo();
    await world.poolkeeper(...words);
    expect(await thoseThere([...held, template])).to.deep.equal([template]);
  });

  it('keeps its bytes where they are while undo, persistent and a new download go on beside it [C1, G2]', async () => {
    await world.publishRelease('noble', '20240401');
    const { held, volumes } = await holdAll({});
    const digests = await Promise.all(held.map(({ path }) => sha256Of(path)));
    const [one = '', two = ''] = volumes;
    const undone = await world.poolkeeper('undo', one);
    expect(undone.status, undone.stderr).to.equal(0);
    const second = await world.poolkeeper('undo', two);
    expect(second.status, second.stderr).to.equal(0);
    await world.poolkeeper('persistent', one);
    expect(await Promise.all(held.map(({ path }) => sha256Of(path)))).to.deep.equal(digests);
  });

  it('keeps a damaged image from being fetched anew over it, in each of the ways [C1, E8, G2]', async () => {
    await world.publishRelease('noble', '20240401');
    const good = await world.sync();
    expect(good.status, good.stderr).to.equal(0);
    const path = world.volumePath('noble', '20240401');
    const { records } = await readRecords((await pathsOf(world)).records);
    expect(records.size).to.equal(1);
    await writeFile(path, Buffer.alloc(2 ** 17, 'damaged'));
    await rm((await pathsOf(world)).records, { recursive: true });
    await rm(world.metadata, { recursive: true });
    const damaged = await sha256Of(path);
    for (const kind of HOLDERS) {
      const holder = await tricks.hold(kind, path, work);
      const run = await world.sync('--allow-mass-removal');
      expect(await sha256Of(path), `${kind}: ${run.stdout}${run.stderr}`).to.equal(damaged);
      await holder.undo();
    }
    await world.sync('--allow-mass-removal');
    const run = await world.sync('--allow-mass-removal');
    expect(await sha256Of(path), `${run.stdout}${run.stderr}`).to.equal(
      await sha256Of(join(world.root, 'noble-20240401.img')),
    );
  });

  it(`keeps a persistent image from being replaced, and a snapshot from going, in each of the ways [C1, G2]`, async function () {
    // Each refusal asks the kernel three times within a second.
    this.timeout(300_000);
    for (const kind of HOLDERS) {
      const name = kind.replaceAll(' ', '-');
      const image = await addPersistent(world, name);
      await qemuIo(image.path, 'write -P 0x61 0 64k');
      await refusedThenDone(image, kind, ['create', name, 'one']);
      await qemuIo(image.path, 'write -P 0x62 0 64k');
      await refusedThenDone(image, kind, ['revert', name, 'one', '--yes']);
      await qemuIo(image.path, 'read -P 0x61 0 64k');
      await refusedThenDone(image, kind, ['flatten', name]);
      await qemuIo(image.path, 'read -P 0x61 0 64k');
      const { records } = await readRecords((await pathsOf(world)).records);
      const snapshot = [...records.values()].find(
        ({ status, traits }) => status === 'active' && traits?.snapshotOf === image.volumeName,
      );
      const path = join(world.poolPath, snapshot?.volumeName ?? expect.fail('no snapshot'));
      await refusedThenDone({ path }, kind, ['delete', name, 'one', '--now']);
      expect(await thoseThere([{ path }])).to.deep.equal([]);
    }
  });

  async function refusedThenDone(
    { path }: Pick<PersistentFixture, 'path'>,
    kind: (typeof HOLDERS)[number],
    words: readonly string[],
  ): Promise<void> {
    const holder = await tricks.hold(kind, path, work);
    const before = await sha256Of(path);
    const refused = await runInProcess(world, ['snapshot', ...words]);
    expect(refused.status, `${kind}: snapshot ${words.join(' ')}: ${refused.stdout}`).not.to.equal(0);
    expect(await sha256Of(path), refused.stderr).to.equal(before);
    await holder.undo();
    const done = await runInProcess(world, ['snapshot', ...words]);
    expect(done.status, `${kind}: snapshot ${words.join(' ')}: ${done.stderr}`).to.equal(0);
  }

  it('is tried with every way of every command that changes volumes [G2]', () => {
    const tried = new Set([
      ...SWEEPING.map(({ form }) => form),
      'orphans',
      'undo',
      'persistent',
      ...['create', 'delete', 'revert', 'flatten'].map((word) => `snapshot ${word}`),
    ]);
    const forms = COMMANDS.flatMap(({ name, changesVolumes }) => changesVolumes.map((way) => `${name} ${way}`.trim()));
    expect(forms.filter((form) => !tried.has(form))).to.deep.equal([]);
    expect(forms).to.have.lengthOf.above(11);
  });

  /** Gives a copy of the host's state to a second user, so that he has books of his own to work with. */
  async function stateFor({ uid, gid }: typeof SECOND_USER): Promise<readonly string[]> {
    const own = join(world.root, 'member');
    await rm(own, { recursive: true, force: true });
    await mkdir(own);
    for (const name of ['state', 'metadata']) {
      await cp(join(world.root, name), join(own, name), { recursive: true });
    }
    await execute('chown', ['-R', `${uid}:${gid}`, own]);
    const dirs = ['state', 'cache', 'metadata'].flatMap((name) => [`--${name}-dir`, join(own, name)]);
    return ['--connect', world.libvirtd.uri, ...dirs];
  }

  for (const { form, images, prepare, words } of SWEEPING) {
    it(`is unknown to ${form} of somebody who cannot ask the kernel: nothing goes [C3, G2]`, async () => {
      const made = await addManagedImages(
        world,
        ['one', 'two', 'three', 'other'].map((product) => ({ product, ...images })),
      );
      const volumes = made.slice(0, -1).map(({ volumeName }) => volumeName);
      await prepare?.(world);
      const options = await stateFor(SECOND_USER);
      const member = asUser(SECOND_USER, [process.execPath, PROGRAM, ...words(world, volumes), ...options]);
      const run = await start(member, { HOME: join(world.root, 'member') });
      const text = `${run.stdout}${run.stderr}`;
      // He came as far as libvirt and the pool, and is told what he lacks.
      expect(run.status, text).not.to.be.oneOf([2, 10]);
      expect(text).to.match(/\broot\b/);
      expect(namesOf(await thoseThere(made)), text).to.deep.equal(namesOf(made));
      expect(text).not.to.match(/\bdeleted (image|volume)\b/);
      const root = await world.poolkeeper(...words(world, volumes));
      const gone = namesOf(made.filter(({ volumeName }) => form !== 'delete' || volumes.includes(volumeName)));
      const left = namesOf(await thoseThere(made));
      expect(left, `${root.stdout}${root.stderr}`).to.deep.equal(namesOf(made).filter((name) => !gone.includes(name)));
    });
  }

  it('is seen with what the service unit leaves of root, and the rest goes [C1, B1]', async () => {
    const { held, free, holders } = await holdAll({});
    const digests = await Promise.all(held.map(({ path }) => sha256Of(path)));
    const command = [process.execPath, PROGRAM, ...world.options, 'gc', '--yes', ...AT_ONCE];
    const unit = await inUnit(command, [world.root, world.libvirtd.root]);
    const env = { HOME: world.root };
    await expectHeldStay({ held, free }, digests, await start(unit, env));
    for (const holder of holders) await holder.undo();
    const second = await start(unit, env);
    expect(namesOf(await thoseThere(held)), `${second.stdout}${second.stderr}`).to.deep.equal([]);
  });

  function start([command = '', ...words]: readonly string[], more: NodeJS.ProcessEnv): Promise<Run> {
    const own = { PATH: process.env['PATH'], NO_COLOR: '1', POOLKEEPER_CONFIG: '/dev/null', ...UNCOVERED };
    return execute(command, words, { cwd: world.root, env: { ...own, ...more } }).then(
      ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => ({ ...error, status: error.code }),
    );
  }
});

function namesOf(images: readonly { readonly path: string }[]): readonly string[] {
  return images.map(({ path }) => decodeVolumeName(basename(path))?.product ?? basename(path));
}

function ignore(): void {}
