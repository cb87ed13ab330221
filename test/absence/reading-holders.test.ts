import { expect } from 'chai';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { GraphNode } from '../../src/core/use-graph.ts';
import { openFileRoots } from '../../src/gather/open-files.ts';
import { Mounting } from '../support/mounting.ts';
import { openStages, type Stage } from '../support/scenario.ts';
import { World } from '../support/world.ts';

const run = promisify(execFile);

describe('names of those who have an image open', () => {
  let world: World;
  let stage: Stage;
  const mounting = new Mounting();
  const holders: ChildProcess[] = [];

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publishRelease('noble', '20240821');
    [stage = expect.fail('no stage')] = await openStages(world, 1);
  });
  afterEach(async () => {
    for (const holder of holders.splice(0)) {
      holder.stdin?.end();
      if (holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit');
    }
    await mounting.undo();
  });
  after(() => world.stop());

  /** Starts a process that says that it is ready, and ends with its standard input. */
  async function hold(command: string, ...words: readonly string[]): Promise<ChildProcess> {
    const holder = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    holders.push(holder);
    await once(holder.stdout, 'data');
    return holder;
  }

  it('finds a process of another mount namespace, where the image has another name; its twin goes [C2]', async () => {
    const [needed, twin] = [await stage.keep(), await stage.twin()];
    const script = 'mount --bind "$1" "$2" && exec 7<"$2/$3" && echo ready && read line';
    const elsewhere = join(stage.outside, 'elsewhere');
    await run('mkdir', ['-p', elsewhere]);
    const name = needed.slice(needed.lastIndexOf('/') + 1);
    const inNamespace = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      script,
      'sh',
      world.poolPath,
      elsewhere,
      name,
    ];
    const holder = await hold('unshare', ...inNamespace);

    const kept = await world.sync('--verbose', '--allow-mass-removal', 'arch=amd64');
    expect(kept.stdout).to.match(new RegExp(`keep image .* 1: needed by process ${holder.pid} \\(sh\\)`));
    expect(await stage.virsh('pool-refresh uvtool', 'vol-list uvtool')).to.include(name);
    expect((await run('ls', [world.poolPath])).stdout).to.not.include(twin.slice(twin.lastIndexOf('/') + 1));

    holder.stdin?.end();
    await once(holder, 'exit');
    expect((await world.sync('--allow-mass-removal', 'arch=amd64')).status).to.equal(0);
    expect(await world.volumes()).to.not.include(name);
    await rm(twin, { force: true });
  });

  it('never looks at a file that a process has open, be it on a file system that does not answer [C2]', async () => {
    const dead = join(stage.outside, 'dead');
    await mounting.dead(dead);
    const holder = await hold(
      '/usr/bin/python3',
      '-c',
      `import os\nos.open('${dead}', os.O_PATH)\nprint('ready', flush=True)\ninput()`,
    );
    // In a process of its own: were it to wait, nothing here could go on.
    const module = fileURLToPath(new URL('../../src/gather/open-files.js', import.meta.url));
    const node = { id: 'x', label: 'x', tokens: [`path:${dead}`], paths: [dead], isDirectory: false, edges: [] };
    const code = `import { openFileRoots } from '${module}';
      console.log(JSON.stringify(openFileRoots([${JSON.stringify(node)}], 0).map(({ label }) => label)));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], {
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    expect(JSON.parse(stdout)).to.deep.equal([`process ${holder.pid} (python3)`]);
  });

  it('asks nobody when nothing is asked for, and finds nobody where nobody is [C2 twin]', () => {
    const node: GraphNode = {
      id: 'x',
      label: 'x',
      tokens: ['path:/nowhere/at-all', 'name:at-all'],
      paths: ['/nowhere/at-all'],
      isDirectory: false,
      edges: [],
    };
    expect([openFileRoots([], 0), openFileRoots([node], 0)]).to.deep.equal([[], []]);
  });
});
