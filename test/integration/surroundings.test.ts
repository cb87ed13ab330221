import { expect } from 'chai';
import { chmod, chown, mkdir, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readRecords, writeRecord } from '../../src/state/records.ts';
import { stateOf, until } from '../support/aftermath.ts';
import { World } from '../support/world.ts';

const OLD = '20240821';
const NEW = '20240901';
const NOBODY = 65_534;
const YEAR_MS = 365 * 86_400_000;

/** A thing that is wrong with the surroundings after a good sync, and how the next one ends. */
interface Case {
  readonly what: string;
  readonly status: number;
  readonly says: RegExp;
  readonly prepare: (world: World, state: string) => Promise<unknown>;
}

const record = (world: World, state: string, release = 'noble'): string =>
  join(state, 'records', `${world.volumeName(release, OLD)}.json`);
const metadata = (world: World, release = 'noble'): string => join(world.metadata, world.volumeName(release, OLD));

/** Puts a link in place of what is there. */
async function plant(path: string, target: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await symlink(target, path);
}

async function swap(one: string, other: string): Promise<void> {
  await rename(one, `${one}.swap`);
  await rename(other, one);
  await rename(`${one}.swap`, other);
}

const REFUSED: readonly Case[] = [
  {
    what: 'a state directory that every user may write to',
    status: 15,
    says: /every user may write to it\n.*chmod o-w/,
    prepare: (world) => chmod(join(world.root, 'state'), 0o777),
  },
  {
    what: 'a records directory that every user may write to',
    status: 15,
    says: /records': every user may write to it/,
    prepare: (_world, state) => chmod(join(state, 'records'), 0o777),
  },
  {
    what: 'a state directory of another user',
    status: 15,
    says: /it belongs to another user\n.*chown/,
    prepare: (_world, state) => chown(state, NOBODY, NOBODY),
  },
  {
    what: 'a link in place of the records',
    status: 15,
    says: /records': it is not a directory/,
    prepare: (world, state) => plant(join(state, 'records'), victimOf(world)),
  },
  {
    what: 'a link in place of the lock',
    status: 15,
    says: /cannot open lock file '.*': it is a symbolic link/,
    prepare: (world, state) => plant(join(state, 'lock'), join(victimOf(world), 'file')),
  },
  {
    what: 'a link in place of the folder for what is set aside, when it is needed',
    status: 15,
    says: /set-aside' is not a directory/,
    prepare: async (world, state) => {
      await truncate(record(world, state), 20);
      await plant(join(state, 'set-aside'), victimOf(world));
    },
  },
  {
    what: 'a damaged memory of the source',
    status: 15,
    says: /source memory .*\n.*--allow-rollback/,
    prepare: async (_world, state) => {
      for (const name of await readdir(join(state, 'sources'))) await truncate(join(state, 'sources', name), 30);
    },
  },
];

const HEALED: readonly Case[] = [
  {
    what: 'a link in place of the journal',
    status: 0,
    says: /journal.*it is a symbolic link; it was set aside/,
    prepare: (world, state) => plant(join(state, 'journal'), join(victimOf(world), 'file')),
  },
  {
    what: 'a journal of which the beginning is gone',
    status: 0,
    says: /journal .* is damaged; it was set aside/,
    prepare: (_world, state) => writeFile(join(state, 'journal'), 'no journal at all\n'),
  },
  {
    what: 'a journal that was cut off in the middle of a line',
    status: 0,
    says: /^$/,
    prepare: (_world, state) => truncate(join(state, 'journal'), 30),
  },
  {
    what: 'a link in place of a record',
    status: 0,
    says: /symbolic link; it was set aside/,
    prepare: (world, state) => plant(record(world, state), join(victimOf(world), 'file')),
  },
  {
    what: 'a link in place of a metadata file',
    status: 0,
    says: /symbolic link; it was set aside/,
    prepare: (world) => plant(metadata(world), join(victimOf(world), 'file')),
  },
  {
    what: 'a record that was cut off',
    status: 0,
    says: /is not JSON; it was set aside/,
    prepare: (world, state) => truncate(record(world, state), 40),
  },
  {
    what: 'an empty metadata file',
    status: 0,
    says: /is not JSON; it was set aside/,
    prepare: (world) => truncate(metadata(world), 0),
  },
  {
    what: 'two records that were swapped',
    status: 0,
    says: /describes another image than its name; it was set aside/,
    prepare: (world, state) => swap(record(world, state), record(world, state, 'jammy')),
  },
  {
    what: 'two metadata files that were swapped',
    status: 0,
    says: /describes another image than its name; it was set aside/,
    prepare: (world) => swap(metadata(world), metadata(world, 'jammy')),
  },
  {
    what: 'a directory in place of a record',
    status: 0,
    says: /not a regular file; it was set aside/,
    prepare: async (world, state) => {
      await rm(record(world, state));
      await mkdir(record(world, state));
    },
  },
  {
    what: 'a cache that every user may write to',
    status: 0,
    says: /warning: .*cache': every user may write to it/,
    prepare: (world) => chmod(join(world.root, 'cache'), 0o777),
  },
  {
    what: 'a link in place of the cache',
    status: 0,
    says: /warning: .*cache': it is not a directory/,
    prepare: (world) => plant(join(world.root, 'cache'), victimOf(world)),
  },
  {
    what: 'a cache in which files were cut off and swapped',
    status: 0,
    says: /^$/,
    prepare: async (world) => {
      const dir = join(world.root, 'cache', 'documents-v1');
      const [one = '', other = ''] = await readdir(dir);
      await swap(join(dir, one), join(dir, other));
      for (const name of await readdir(join(world.root, 'cache', 'verdicts-v1')))
        await truncate(join(world.root, 'cache', 'verdicts-v1', name), 50);
    },
  },
];

function victimOf(world: World): string {
  return join(world.root, 'victim');
}

describe('hostile surroundings', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());

  beforeEach(async () => {
    await world.reset();
    await rm(victimOf(world), { recursive: true, force: true });
    await mkdir(victimOf(world), { mode: 0o700 });
    await writeFile(join(victimOf(world), 'file'), 'not yours\n', { mode: 0o600 });
    await world.publish([await world.release('noble', OLD), await world.release('jammy', OLD)]);
    expect(await world.sync()).to.include({ status: 0 });
  });
  afterEach(expectVictimUntouched);

  for (const { what, status, says, prepare } of REFUSED) {
    it(`stop a sync before it touches anything: ${what}`, async () => {
      await prepare(world, await stateOf(world));
      const volumes = await world.volumes();
      await world.publish([await world.release('noble', NEW), await world.release('jammy', NEW)]);
      const run = await world.sync();
      expect(run.status, run.stderr).to.equal(status);
      expect(run.stderr).to.match(says);
      expect(run.stderr).to.match(/^poolkeeper: hint: /m);
      expect(await world.volumes()).to.deep.equal(volumes);
    });
  }

  for (const { what, status, says, prepare } of HEALED) {
    it(`cost no image and stop nothing: ${what}`, async () => {
      await prepare(world, await stateOf(world));
      const run = await world.sync();
      expect(run.status, run.stderr).to.equal(status);
      expect(run.stderr).to.match(says);
      expect(await offered()).to.deep.equal([OLD, OLD]);
      const names = [world.volumeName('jammy', OLD), world.volumeName('noble', OLD)].sort();
      expect(await world.volumes()).to.deep.equal(names);
      await world.publish([await world.release('noble', NEW), await world.release('jammy', NEW)]);
      expect((await world.sync()).status).to.equal(0);
      expect(await offered()).to.deep.equal([NEW, NEW]);
    });
  }

  it('let nobody wait for ever: a record from the future starts its grace period anew, and no earlier', async () => {
    await world.publish([await world.release('noble', NEW), await world.release('jammy', OLD)]);
    await world.sync('--grace', '1d');
    const dir = join(await stateOf(world), 'records');
    const name = world.volumeName('noble', OLD);
    const { records } = await readRecords(dir);
    const old = records.get(name);
    if (old === undefined) throw new Error('the old image has no record');
    const future = Date.now() + 10 * YEAR_MS;
    await writeRecord(dir, { ...old, times: { createdAt: future, statusSince: future, lastNeededAt: future } });
    const since = Date.now();
    expect((await world.sync('--grace', '1d')).status).to.equal(0);
    expect(await world.volumes()).to.include(name);
    const { times } = (await readRecords(dir)).records.get(name) ?? {};
    expect(times?.lastNeededAt).to.be.within(since, Date.now());
    await until(async () => (await world.sync('--grace', '2s')).stdout.includes('deleted'));
    expect(Date.now() - since).to.be.greaterThan(2000);
    expect(await world.volumes()).not.to.include(name);
  });

  async function offered(): Promise<readonly string[]> {
    const { stdout } = await world.poolkeeper('query');
    return [...stdout.matchAll(/\((\d+)\)/g)].map(([, serial = '']) => serial);
  }

  async function expectVictimUntouched(): Promise<void> {
    expect(await readdir(victimOf(world))).to.deep.equal(['file']);
    expect(await readFile(join(victimOf(world), 'file'), 'utf8')).to.equal('not yours\n');
  }
});
