import { expect } from 'chai';
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { applyCommand } from '../../src/commands/apply.ts';
import { gcCommand } from '../../src/commands/gc.ts';
import type { GcPlan } from '../../src/core/gc-plan.ts';
import { PoolkeeperError } from '../../src/errors.ts';
import { readPlan, writePlan } from '../../src/state/plan-file.ts';
import { aftermathOf } from '../support/aftermath.ts';
import { inProcess } from '../support/in-process.ts';
import { jsonLines } from '../support/json-lines.ts';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';
import { type Run, World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const DAYS = ['20240401', '20240402', '20240403', '20240404', '20240405'] as const;
const AT_ONCE = ['--grace', '0', '--min-age', '0'];

interface ApplyWords {
  readonly plan: string;
  readonly maxAge: string;
  readonly dryRun: boolean;
  readonly allowMassRemoval: boolean;
  readonly json: boolean;
}

describe('poolkeeper apply', () => {
  let world: World;
  let snapshot: Snapshot;
  let path: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.holdVersions('noble', DAYS);
    snapshot = await takeSnapshot(world);
    path = join(world.root, 'plan.json');
  });
  after(() => world.stop());
  beforeEach(() => snapshot.rewind());

  const volume = (day: string): string => world.volumeName('noble', day);
  const apply = async (...args: readonly string[]): Promise<Run> => plain(await world.poolkeeper('apply', ...args));

  /** Makes a plan in this process, by a policy that lets nothing wait. */
  async function makePlan(keepVersions: number, change: { grace?: string; gone?: 'drop-when-unused' } = {}) {
    const { context, options } = inProcess(world);
    const policy = { keepVersions, grace: '0', minAge: '0', unusedFor: undefined, maxSize: undefined } as const;
    const rest = {
      gone: 'keep',
      allowMassRemoval: false,
      metricsFile: undefined,
      out: path,
      emptyTrash: false,
      dryRun: false,
    } as const;
    await gcCommand(context).handler({ ...options, ...policy, ...rest, ...change, yes: false, _: [], $0: '' });
  }

  /** What a run printed, without what differs from run to run. */
  function plain({ status, stdout, stderr }: Run): Run {
    const text = stdout
      .replaceAll(/\d{8}T\d{6}Z-[0-9a-f]{4}/g, 'RUN')
      .replaceAll(/[\d.]+ MiB/g, 'SIZE')
      .replaceAll(/ on \d{4}-\d\d-\d\d\b/g, ' on DATE')
      .replaceAll(`image ${NOBLE} 2024`, '')
      .replaceAll(world.root, '');
    return { status, stdout: text, stderr };
  }

  /** Lines in an order of their own: libvirt lists volumes in none. */
  function sorted(text: string): readonly string[] {
    return text.split('\n').toSorted();
  }

  /** Applies the plan in this process; what the program would say on standard error is the message. */
  async function applyHere(words: Partial<ApplyWords> = {}): Promise<Run> {
    const { context, options, written } = inProcess(world);
    const defaults: ApplyWords = { plan: path, maxAge: '1d', dryRun: false, allowMassRemoval: false, json: false };
    const run = applyCommand(context).handler({ ...options, ...defaults, ...words, _: [], $0: '' });
    const error = await Promise.resolve(run).catch((reason: unknown) => reason);
    if (error === undefined) return plain({ status: 0, stdout: written.stdout, stderr: written.stderr });
    if (!(error instanceof PoolkeeperError)) throw error;
    return plain({ status: error.exitStatus, stdout: written.stdout, stderr: error.message });
  }

  it('carries out what gc --out wrote down, and nothing is left of the plan afterwards', async () => {
    const tree = await world.tree();
    const made = plain(await world.poolkeeper('gc', '--out', path, '--keep-versions', '3', ...AT_ONCE));
    expect([made.status, made.stderr]).to.deep.equal([0, '']);
    expect(sorted(made.stdout)).to.deep.equal([
      '',
      'would delete 0401 (SIZE)',
      'would delete 0402 (SIZE)',
      'would free SIZE; images held SIZE before, SIZE after',
      'would retire 0401: newer versions replace it',
      'would retire 0402: newer versions replace it',
      "wrote a plan of 4 step(s) to /plan.json; 'poolkeeper apply /plan.json' carries it out",
    ]);
    expect(await world.tree()).to.deep.equal(tree);
    expect((await stat(path)).mode & 0o777).to.equal(0o640);
    expect((await apply(path, '--dry-run')).stdout).to.include('would delete 0402 (SIZE)\n');
    expect(await world.tree()).to.deep.equal(tree);
    const applied = await apply(path);
    expect([applied.status, applied.stderr]).to.deep.equal([0, '']);
    expect(sorted(applied.stdout)).to.deep.equal([
      '',
      'SIZE will be freed on DATE; images held SIZE before, SIZE after',
      'deleted 0401 (SIZE freed on DATE)',
      'deleted 0402 (SIZE freed on DATE)',
      'retired 0401: newer versions replace it',
      'retired 0402: newer versions replace it',
    ]);
    expect(await world.volumes()).to.deep.equal(DAYS.slice(2).map(volume).sort());
    const again = await apply(path);
    expect([again.status, again.stderr.split('\n')[0]]).to.deep.equal([
      3,
      'poolkeeper: error: 4 of the 4 step(s) of the plan were dropped',
    ]);
    expect(sorted(again.stdout)).to.deep.equal([
      '',
      'changed since the plan was made: the images in the pool, what needs them',
      'dropped: delete 0401 (SIZE): it is gone already',
      'dropped: delete 0402 (SIZE): it is gone already',
      'dropped: retire 0401 (SIZE): it is gone already',
      'dropped: retire 0402 (SIZE): it is gone already',
      'freed 0 B; images held SIZE before, SIZE after',
    ]);
  });

  it('lets the grace period begin when an image is retired, not when the plan is made', async () => {
    await makePlan(3, { grace: '2h' });
    expect((await readPlan(path)).steps.map(({ action }) => action)).to.deep.equal(['retire', 'retire']);
    expect(await applyHere()).to.include({ status: 0, stderr: '' });
    expect(await world.volumes()).to.have.lengthOf(5);
    await world.poolkeeper('undo');
    await world.poolkeeper('gc', '--yes', '--keep-versions', '3');
    await makePlan(3);
    await world.poolkeeper('undo');
    const run = await applyHere();
    expect([run.status, ...sorted(run.stdout)]).to.deep.equal([
      3,
      '',
      'dropped: delete 0401 (SIZE): 0401 is retained',
      'dropped: delete 0402 (SIZE): 0402 is retained',
      'freed 0 B; images held SIZE before, SIZE after',
    ]);
  });

  it('drops the steps whose volume is used or was touched since, names them, and adds none', async () => {
    await makePlan(2);
    await world.define('web1', { pool: 'uvtool', volume: volume('20240401') });
    await utimes(world.volumePath('noble', '20240402'), new Date(), new Date());
    await world.publishRelease('noble', '20240406');
    await world.sync('--keep-versions', '9');
    const run = await applyHere();
    expect([run.status, run.stderr]).to.deep.equal([3, '4 of the 6 step(s) of the plan were dropped']);
    expect(sorted(run.stdout)).to.deep.equal([
      '',
      'SIZE will be freed on DATE; images held SIZE before, SIZE after',
      'changed since the plan was made: the images in the pool, what needs them, what their sources offer',
      'deleted 0403 (SIZE freed on DATE)',
      'dropped: delete 0401 (SIZE): it is in use (domain web1)',
      'dropped: delete 0402 (SIZE): its key, size or time is not what it was',
      'dropped: retire 0401 (SIZE): it is in use (domain web1)',
      'dropped: retire 0402 (SIZE): its key, size or time is not what it was',
      'retired 0403: newer versions replace it',
    ]);
    expect(await world.volumes()).to.deep.equal(
      ['20240401', '20240402', '20240404', '20240405', '20240406'].map(volume).sort(),
    );
  });

  it('drops what a new index offers again', async () => {
    await world.publishRelease('jammy', '20240501');
    await world.sync('release=jammy');
    await makePlan(9, { gone: 'drop-when-unused' });
    expect((await readPlan(path)).steps).to.have.lengthOf(10);
    await world.publish([await world.release('jammy', '20240501'), await world.release('noble', '20240405')]);
    await world.sync('--no-gc', '--keep-versions', '9');
    const before = await aftermathOf(world);
    const run = await applyHere({ allowMassRemoval: true });
    expect([run.status, ...sorted(run.stdout)]).to.deep.equal([
      3,
      '',
      'changed since the plan was made: what their sources offer',
      ...['0401', '0402', '0403', '0404'].map(
        (day) => `dropped: delete ${day} (SIZE): it is among the newest versions of its product`,
      ),
      'dropped: delete 0405 (SIZE): it is offered to new domains',
      ...['0401', '0402', '0403', '0404'].map(
        (day) => `dropped: retire ${day} (SIZE): it is among the newest versions of its product`,
      ),
      'dropped: retire 0405 (SIZE): it is offered to new domains',
      'freed 0 B; images held SIZE before, SIZE after',
    ]);
    expect(await aftermathOf(world)).to.deep.equal(before);
    const json = jsonLines((await applyHere({ json: true, allowMassRemoval: true })).stdout);
    expect(json.slice(0, 2)).to.deep.equal([
      { message_type: 'premises', changed: ['sources'] },
      {
        message_type: 'dropped',
        action: 'retire',
        product: NOBLE,
        version: '20240401',
        volume: volume('20240401'),
        dropped_because: 'retention',
        reason: 'newest',
      },
    ]);
  });

  it('refuses a plan that was edited, is damaged, of a newer format, or none', async () => {
    await makePlan(3);
    const text = await readFile(path, 'utf8');
    const tree = await world.tree();
    const cases: readonly (readonly [string, number, string])[] = [
      [text.replace('"keepVersions": 3', '"keepVersions": 1'), 15, 'was changed after it was made'],
      [text.replace('"formatVersion": 1', '"formatVersion": 0'), 15, 'was changed after it was made'],
      [text.replace('"formatVersion": 1', '"formatVersion": 2'), 1, 'was written by a newer poolkeeper (format 2)'],
      [text.slice(0, -100), 15, 'is not JSON'],
      ['', 15, 'is not JSON'],
      ['[]', 15, 'is not a JSON object'],
      ['{}', 2, 'is not a plan'],
    ];
    for (const [content, status, message] of cases) {
      await writeFile(path, content);
      const run = await applyHere();
      expect([run.status, run.stdout], message).to.deep.equal([status, '']);
      expect(run.stderr).to.include(message);
    }
    expect(await applyHere({ plan: 'none.json' })).to.include({ status: 1 });
    expect(await applyHere({ maxAge: 'old' })).to.include({ status: 2 });
    expect(await world.tree()).to.deep.equal(tree);
    await writeFile(path, JSON.stringify(JSON.parse(text)));
    expect(await applyHere()).to.include({ status: 0, stderr: '' });
  });

  it('refuses a plan of another pool, host or connection, an old one, and one from the future', async () => {
    await makePlan(3);
    const plan = await readPlan(path);
    const now = Date.now();
    const cases: readonly (readonly [Partial<GcPlan>, string])[] = [
      [{ pool: { ...plan.pool, uuid: 'a' } }, "the plan is for storage pool 'uvtool' (a), not for 'uvtool' ("],
      [{ host: 'elsewhere' }, "the plan was made on host 'elsewhere', and this is '"],
      [{ uri: 'qemu:///system' }, 'the plan was made for libvirt at qemu:///system, and this is qemu+unix:///session?'],
      [{ madeAt: now - 90_000_000 }, 'the plan was made 1d 1h ago, at most 1d is allowed'],
      [{ madeAt: now + 3_600_000 }, 'the plan was made in the future'],
    ];
    const tree = await world.tree();
    for (const [change, message] of cases) {
      await writePlan(path, { ...plan, ...change });
      const run = await applyHere();
      expect([run.status, run.stdout], message).to.deep.equal([2, '']);
      expect(run.stderr).to.include(message);
    }
    expect(await world.tree()).to.deep.equal(tree);
    await writePlan(path, { ...plan, madeAt: now - 90_000_000 });
    expect(await applyHere({ maxAge: '2d' })).to.include({ status: 0, stderr: '' });
  });

  it('refuses a policy that would keep nothing, and stops before more than half of all images would go', async () => {
    await makePlan(1);
    const run = await applyHere();
    expect([run.status, run.stderr]).to.deep.equal([
      13,
      'nothing was deleted: it would delete 4 of the 5 images in the pool',
    ]);
    const plan = await readPlan(path);
    const { policy } = plan;
    const { retention } = policy;
    for (const change of [{ keepVersions: 0 }, { unusedForMs: 0 }, { maxSizeBytes: 0n }]) {
      const keepsNothing = { ...retention, policy: { ...retention.policy, ...change } };
      await writePlan(path, { ...plan, policy: { ...policy, retention: keepsNothing } });
      expect(await applyHere({ allowMassRemoval: true })).to.deep.equal({
        status: 15,
        stdout: '',
        stderr: `plan '${path}': field 'plan': field 'policy': field 'retention' would keep nothing`,
      });
    }
    expect(await world.volumes()).to.have.lengthOf(5);
  });

  it('overwrites no file that is not a plan', async () => {
    const other = join(world.root, 'precious.txt');
    await writeFile(other, 'precious');
    for (const target of [other, '-', '']) {
      const { status, stderr } = await world.poolkeeper('gc', '--out', target);
      expect([target, status], stderr).to.deep.equal([target, 2]);
    }
    expect(await readFile(other, 'utf8')).to.equal('precious');
    await makePlan(9);
    await makePlan(3, { grace: '2h' });
    expect((await readPlan(path)).policy.retention.policy.keepVersions).to.equal(3);
  });
});
