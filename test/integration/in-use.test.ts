import { expect } from 'chai';
import { readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createResolver, mark } from '../../src/core/use-graph.ts';
import { gatherUseGraph } from '../../src/gather/use-graph.ts';
import { createQemuImgInfo } from '../../src/image-format/qemu-img.ts';
import { Connection } from '../../src/libvirt/connection.ts';
import { recordStage } from '../support/managed-images.ts';
import { buildAll, type Fate, fateOf, openStages, type Scenario, type Stage } from '../support/scenario.ts';
import { BACKING_SCENARIOS } from '../support/scenario-backing.ts';
import { CHAIN_SCENARIOS } from '../support/scenario-chains.ts';
import { DOMAIN_SCENARIOS } from '../support/scenario-domains.ts';
import { LEAF_SCENARIOS } from '../support/scenario-leaves.ts';
import { NAME_SCENARIOS } from '../support/scenario-names.ts';
import { type Run, World } from '../support/world.ts';

const SCENARIOS: readonly Scenario[] = [
  ...LEAF_SCENARIOS,
  ...NAME_SCENARIOS,
  ...BACKING_SCENARIOS,
  ...CHAIN_SCENARIOS,
  ...DOMAIN_SCENARIOS,
];

describe('sync beside domains that need images', () => {
  let world: World;
  let stages: readonly Stage[] = [];
  let run: Run;

  before(async function () {
    this.timeout(120_000);
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    stages = await buildAll(world, SCENARIOS);
    run = await world.sync('arch=amd64', '--allow-mass-removal');
  });
  after(() => world.stop());

  it('sees everything and deletes without a complaint', () => {
    expect({ status: run.status, stderr: run.stderr }).to.deep.equal({ status: 0, stderr: '' });
  });

  it('keeps every file in the pool that the kernel says a QEMU has open', async () => {
    const connection = await Connection.open(world.libvirtd.uri);
    // The kernel is the judge here and must not be a witness.
    const readClaims = () => Promise.resolve({ claims: [], blindSpots: [] });
    const sight = { connection, qemuImg: createQemuImgInfo(), ownPid: undefined, readClaims };
    const { graph } = await gatherUseGraph(sight);
    await connection.close();
    const needs = mark(graph, createResolver(graph.nodes), new Map());
    const needed = new Set(graph.nodes.flatMap(({ id, paths }) => (needs.has(id) ? paths : [])));
    const open = await openImages(world);
    expect(open.length).to.be.greaterThan(15);
    expect(open.filter((path) => !needed.has(path))).to.deep.equal([]);
  });

  for (const [index, { row, title }] of SCENARIOS.entries()) {
    it(`${title} (${row})`, async () => {
      const stage = stages[index] ?? expect.fail('no stage');
      expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: [], collected: stage.twins });
    });
  }
});

/** Ways to reach the directory of the pool itself, which keep all that is in it. */
const DIRECTORY_REFERENCES: readonly (readonly [what: string, devices: (path: string) => string])[] = [
  ['shares it', (path) => `<filesystem type='mount'><source dir='${path}'/><target dir='t'/></filesystem>`],
  [
    'shares it, with a slash at the end',
    (path) => `<filesystem><source dir='${path}/'/><target dir='t'/></filesystem>`,
  ],
  [
    'shares a directory above it',
    (path) => `<filesystem><source dir='${dirname(path)}'/><target dir='t'/></filesystem>`,
  ],
  [
    'has it as a FAT disk',
    (path) =>
      `<disk type='dir' device='disk'><driver name='qemu' type='fat'/><source dir='${path}'/><target dev='vda' bus='virtio'/><readonly/></disk>`,
  ],
];

describe('sync beside domains that use the directory of the pool', () => {
  let world: World;
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    [stage = expect.fail('no stage')] = await openStages(world, 1);
    await stage.twin();
  });
  after(() => world.stop());

  for (const [what, devices] of DIRECTORY_REFERENCES) {
    it(`keeps everything while a domain ${what}`, async () => {
      await stage.define({ devices: devices(world.poolPath) });
      expect((await fateAfterSync()).collected).to.deep.equal([]);
    });
  }

  it('keeps everything while a domain shares a directory that is linked to it', async () => {
    await symlink(world.poolPath, join(stage.outside, 'images'));
    await stage.define({ devices: filesystem(join(stage.outside, 'images')) });
    expect((await fateAfterSync()).collected).to.deep.equal([]);
  });

  it('keeps everything while an overlay sees it as a FAT disk', async () => {
    await stage.define();
    await stage.overlay(join(stage.pool, 'top.qcow2'), `fat:${world.poolPath}`, 'raw');
    expect((await fateAfterSync()).collected).to.deep.equal([]);
    await rm(join(stage.pool, 'top.qcow2'));
  });

  it('collects as soon as domains only use its sisters', async () => {
    await stage.define({ devices: filesystem(`${world.poolPath}-old`) + filesystem(join(world.poolPath, 'sub'), 'u') });
    expect((await fateAfterSync()).uncollected).to.deep.equal([]);
  });

  async function fateAfterSync(): Promise<Fate> {
    await recordStage(world, stage);
    expect(await world.sync('arch=amd64', '--allow-mass-removal')).to.include({ status: 0, stderr: '' });
    return fateOf(stage);
  }
});

function filesystem(path: string, target = 't'): string {
  return `<filesystem type='mount'><source dir='${path}'/><target dir='${target}'/></filesystem>`;
}

/** The files in the pool and in the scenarios' own directories that domains have open, as the kernel tells. */
async function openImages({ libvirtd, poolPath }: World): Promise<readonly string[]> {
  const folder = join(libvirtd.root, 'run/libvirt/qemu/run');
  const pids = (await readdir(folder)).filter((name) => name.endsWith('.pid'));
  const paths: string[] = [];
  for (const name of pids) {
    const descriptors = `/proc/${(await readFile(join(folder, name), 'utf8')).trim()}/fd`;
    for (const descriptor of await readdir(descriptors)) paths.push(await readlink(join(descriptors, descriptor)));
  }
  const places = [`${poolPath}/`, `${join(libvirtd.root, 'outside')}/`];
  return paths.filter((path) => places.some((place) => path.startsWith(place)));
}
