import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { decodeVolumeName } from '../../src/core/identity.ts';
import { inParallel } from '../../src/core/in-parallel.ts';
import { HostTricks } from '../support/host-tricks.ts';
import { addManagedImages, addRecords, thoseThere } from '../support/managed-images.ts';
import { NOT_THERE, SEEN, type Situation } from '../support/must-go.ts';
import { createQcow2 } from '../support/qemu.ts';
import { disk, fateOf, openStages, type Stage } from '../support/scenario.ts';
import { type Run, World } from '../support/world.ts';

const run = promisify(execFile);
const AT_ONCE = ['--grace', '0', '--min-age', '0', '--allow-mass-removal'];

for (const [where, situations] of [
  ['what must go where everything can be seen', SEEN],
  ['what must go though something is not there', NOT_THERE],
] as const) {
  describe(where, () => {
    const tricks = new HostTricks();
    let world: World;
    let stages: readonly Stage[] = [];
    let last: Run;

    before(async function () {
      this.timeout(240_000);
      world = await World.start();
      await world.createPool();
      stages = await buildSituations(world, situations, tricks);
      last = await world.poolkeeper('gc', '--yes', '--keep-versions', '9', ...AT_ONCE);
    });
    after(async () => {
      await tricks.undo();
      await world.stop();
    });

    it('is judged without a complaint [G4]', () => {
      expect({ status: last.status, stderr: last.stderr }).to.deep.equal({ status: 0, stderr: '' });
    });

    for (const [index, { title, id }] of situations.entries()) {
      it(`is ${title} [G4${id === undefined ? '' : `, ${id} twin`}]`, async () => {
        const stage = stages[index] ?? expect.fail('no stage');
        expect(stage.twins).to.have.lengthOf.at.least(1);
        const { lost, uncollected } = await fateOf(stage);
        expect({ lost: lost.map(nameOf), uncollected: uncollected.map(nameOf) }).to.deep.equal({
          lost: [],
          uncollected: [],
        });
      });
    }
  });
}

/** Builds every situation on a host, some at a time, and gives each managed volume its record. */
async function buildSituations(
  world: World,
  situations: readonly Situation[],
  tricks: HostTricks,
): Promise<readonly Stage[]> {
  await mkdir(`${world.poolPath}-old`);
  const stages = await openStages(world, situations.length);
  const stageOf = (index: number): Stage => stages[index] ?? expect.fail('no stage');
  await inParallel([...situations.entries()], 4, async ([index, situation]) => {
    await situation.build(stageOf(index), tricks).catch((cause: unknown) => {
      throw new Error(`cannot build: ${situation.title}`, { cause });
    });
  });
  await addRecords(
    world,
    stages.flatMap(({ needed, twins }) => [...needed, ...twins]),
  );
  await world.libvirtd.virsh('pool-refresh', 'uvtool');
  for (const [index, { finish }] of situations.entries()) await finish?.(stageOf(index));
  return stages;
}

function nameOf(path: string): string {
  return decodeVolumeName(basename(path))?.product ?? path;
}

describe('what must go when somebody says so', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await createQcow2(join(world.root, 'template.qcow2'), { sizeBytes: 2 ** 20 });
  });
  afterEach(() => world.reset());
  after(() => world.stop());

  it('is also what stands beside a name that was forgotten [G4, D7 twin]', async () => {
    const [stage = expect.fail('no stage')] = await openStages(world, 1);
    const gone = join(stage.outside, 'gone', 'top.qcow2');
    await stage.define({ name: 'stale', devices: disk(`file='${gone}'`) });
    const [image = expect.fail('no image')] = await addManagedImages(world, [{ product: 'forgotten' }]);
    const held = await world.poolkeeper('gc', '--yes', ...AT_ONCE);
    expect(await thoseThere([image]), held.stderr).to.deep.equal([image]);
    expect(held.status).to.equal(13);
    const forgot = await world.poolkeeper('forget', gone, '--yes');
    expect(forgot.status, forgot.stderr).to.equal(0);
    const freed = await world.poolkeeper('gc', '--yes', ...AT_ONCE);
    expect(freed.status, freed.stderr).to.equal(0);
    expect(await thoseThere([image]), freed.stderr).to.deep.equal([]);
  });

  it('is also a foreign volume that was chosen, and no other [G4, B4 twin]', async () => {
    const [one, two] = ['one.qcow2', 'two.qcow2'].map((name) => ({ path: join(world.poolPath, name) })) as [
      { path: string },
      { path: string },
    ];
    for (const { path } of [one, two]) await copyFile(join(world.root, 'template.qcow2'), path);
    for (const { path } of [one, two]) await world.libvirtd.give(path);
    await world.define('other', { path: two.path, format: 'qcow2' });
    // Old enough for the default, and not merely told so.
    await run('touch', ['-d', '30 days ago', one.path, two.path]);
    const listed = await world.poolkeeper('orphans', '--delete', '--yes', '--allow-mass-removal');
    expect(await thoseThere([one, two]), `${listed.stdout}${listed.stderr}`).to.deep.equal([two]);
  });
});
