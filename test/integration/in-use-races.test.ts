import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { access, appendFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { SweepOutcome, Verdict } from '../../src/core/sweep-plan.ts';
import { LibvirtError } from '../../src/errors.ts';
import { executeSweep, type Sweeper } from '../../src/execute/sweep.ts';
import { judgePool } from '../../src/gather/judge-pool.ts';
import { gatherUseGraph } from '../../src/gather/use-graph.ts';
import { createQemuImgInfo } from '../../src/image-format/qemu-img.ts';
import { Connection } from '../../src/libvirt/connection.ts';
import { lookupPool, refreshPool } from '../../src/libvirt/storage-pool.ts';
import { openJournal } from '../../src/state/journal.ts';
import { folderIdentity } from '../../src/state/trash.ts';
import { ensurePoolStateDirs, poolStatePaths } from '../../src/state/paths.ts';
import { rejection } from '../support/rejection.ts';
import { disk, fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { World } from '../support/world.ts';
import { recordStage } from '../support/managed-images.ts';

const runCommand = promisify(execFile);

const POLICY = { now: Date.now(), graceMs: 0, minAgeMs: 0 };

const OWN_PROCESS = {
  clock: { now: () => Date.now() },
  pid: process.pid,
  uid: process.geteuid?.() ?? 0,
  runId: '20260101T000000Z-0000',
};

describe('a sweep while the host changes', () => {
  let world: World;
  let stages: Stage[];
  let stage: Stage;
  let connection: Connection;

  before(async () => {
    world = await World.start();
    await world.createPool();
    stages = [...(await openStages(world, 8))];
    connection = await Connection.open(world.libvirtd.uri, { lanes: 4 });
  });
  beforeEach(() => {
    stage = stages.shift() ?? expect.fail('no stage');
  });
  afterEach(async () => {
    for (const path of [...stage.needed, ...stage.twins, join(stage.pool, `${stage.key}.qcow2`)]) {
      await rm(path, { force: true });
    }
    // What leads to nothing would hold back what comes next.
    if (stages.length > 0)
      await stage.virsh(`undefine ${stage.domain()}`, 'pool-refresh uvtool').catch(() => undefined);
    await world.libvirtd.virsh('pool-refresh', 'uvtool').catch(() => undefined);
  });
  after(async () => {
    await connection.close();
    await world.stop();
  });

  it('spares the chain of a domain that was defined after the plan was made', async () => {
    const base = await stage.keep('base');
    const top = await stage.overlay(stage.keepPath('top'), base);
    const twin = await stage.twin();
    const define = () => stage.define({ devices: fileDisk(top) });
    expect(await sweep({ beforeRejudge: define })).to.deep.equal([spared(top), spared(base), deleted(twin)].sort());
  });

  it('spares what an overlay needs that was made after the plan, in a pool or named by a new domain', async () => {
    const [inPool, outside] = [await stage.keep('one'), await stage.keep('two')];
    const make = async (): Promise<void> => {
      await stage.overlay(join(stage.pool, `${stage.key}.qcow2`), inPool);
      const top = await stage.overlay(join(stage.outside, 'top'), outside);
      await stage.define({ devices: fileDisk(top) });
    };
    expect(await sweep({ beforeRejudge: make })).to.deep.equal([spared(inPool), spared(outside)].sort());
  });

  it('spares the base of an overlay that changed just before it was to go', async () => {
    const base = await stage.keep('base');
    const middle = await stage.overlay(stage.keepPath('middle'), base);
    const top = await stage.overlay(stage.twinPath('top'), middle);
    const change = () => appendFile(middle, 'written by a domain that was faster');
    expect(await sweep({ afterDelete: change })).to.deep.equal([deleted(top), spared(middle), spared(base)].sort());
  });

  it('spares the base of an overlay that cannot be deleted', async () => {
    const base = await stage.keep('base');
    const middle = await stage.overlay(stage.keepPath('middle'), base);
    const top = await stage.overlay(stage.twinPath('top'), middle);
    // In an immutable directory nobody can delete, not even root.
    const protect = () => runCommand('chattr', ['+i', stage.pool]);
    let outcomes: readonly string[];
    try {
      outcomes = await sweep({ afterDelete: protect });
    } finally {
      await runCommand('chattr', ['-i', stage.pool]);
    }
    expect(outcomes).to.deep.equal([deleted(top), `failed ${basename(middle)}`, spared(base)].sort());
    expect(await sweep({})).to.deep.equal([deleted(middle), deleted(base)].sort());
  });

  it('spares everything when volumes vanish under its hands that libvirt still lists, and goes on once it does not', async () => {
    const [one, two] = [await stage.twin('one'), await stage.twin('two')];
    const outcomes = await sweep({ beforeRejudge: () => rm(one) });
    expect(outcomes).to.deep.equal([spared(one), spared(two)].sort());
    expect(await sweep({})).to.deep.equal([deleted(two)]);
  });

  it('gathers without an error while domains, pools and images come and go', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `${stage.key}-${index}`);
    const folder = await world.libvirtd.poolDir(stage.key);
    await stage.image(join(folder, 'stays.img'));
    const commands: string[] = [];
    for (const name of names) {
      const devices = disk(`file='${await stage.image(join(folder, `${name}.img`))}'`, { format: 'raw' });
      commands.push(`define ${await stage.xml({ name, devices })}`);
      await stage.image(join(await world.libvirtd.poolDir(name), 'any.img'));
      commands.push(`pool-define-as ${name} dir --target ${await world.libvirtd.poolDir(name)}`, `pool-start ${name}`);
    }
    await stage.virsh(...commands);
    const removal = stage.virsh(
      ...names.flatMap((name) => [`pool-destroy ${name}`, `undefine ${name}`, `pool-undefine ${name}`]),
    );
    const files = Promise.all(names.map((name) => rm(join(folder, `${name}.img`))));
    const domains: number[] = [];
    do {
      const { graph } = await gatherUseGraph({ connection, ...SIGHT });
      // A domain that goes between two lists may as well be one that is being defined anew.
      const others = graph.blindSpots.filter(({ what }) => !what.startsWith(`domain '${stage.key}`));
      expect(others).to.deep.equal([]);
      domains.push(graph.roots.filter(({ label }) => label.startsWith(`domain ${stage.key}`)).length);
    } while (domains.at(-1) !== 0);
    await Promise.all([removal, files]);
  });

  it('deletes nothing when libvirt goes away after the plan was made', async () => {
    const twin = await stage.twin();
    const error = await rejection(sweep({ beforeRejudge: () => world.libvirtd.kill9() }));
    expect(error).to.be.instanceOf(LibvirtError);
    await access(twin);
  });

  interface Disturbance {
    readonly beforeRejudge?: () => Promise<unknown>;
    readonly afterDelete?: () => Promise<unknown>;
  }

  /** Plans, lets something happen, and executes; returns what became of each volume. */
  async function sweep({ beforeRejudge, afterDelete }: Disturbance): Promise<readonly string[]> {
    await refreshPool(connection, 'uvtool');
    await recordStage(world, stage);
    const pool = await lookupPool(connection, 'uvtool');
    const paths = poolStatePaths({ stateDir: join(world.root, 'state'), pool, metadataDir: world.metadata });
    await ensurePoolStateDirs(paths, process.geteuid?.() ?? 0);
    const judge = async (only?: ReadonlySet<string>): Promise<readonly Verdict[]> => {
      const scope = only === undefined ? {} : { only };
      return (await judgePool({ connection, ...SIGHT, pool, paths, pathsOf: () => paths }, POLICY, scope)).verdicts;
    };
    const planned = await judge();
    await beforeRejudge?.();
    const journal = await openJournal(paths.journal);
    const sweeper: Sweeper = {
      environment: { connection, journal, paths, pool, signal: new AbortController().signal, ...OWN_PROCESS },
      folder: folderIdentity(pool.targetPath),
      isHere: true,
      rejudge: judge,
      afterDelete: async () => {
        await afterDelete?.();
      },
    };
    try {
      return (await executeSweep(planned, sweeper)).map(describeOutcome).sort();
    } finally {
      await journal.close();
    }
  }
});

/** Without a look at the kernel and at leases, which these tests are not about. */
const SIGHT = {
  qemuImg: createQemuImgInfo(),
  ownPid: undefined,
  readClaims: () => Promise.resolve({ claims: [], blindSpots: [] }),
};

function describeOutcome({ result, volume }: SweepOutcome): string {
  return `${result} ${volume.name}`;
}

function spared(path: string): string {
  return `spared ${basename(path)}`;
}

function deleted(path: string): string {
  return `deleted ${basename(path)}`;
}
