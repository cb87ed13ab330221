import { ok } from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { domainXml } from './support/qemu.ts';
import { type Run, World } from './support/world.ts';

/**
 * The main job, on a host that exists only for it: a private libvirtd and a signed stream on loopback. Every step is printed
 * as one would type it and checked; the program ends with an error if one of them does not do what it says.
 */
async function demo(): Promise<void> {
  say('# A private libvirtd and a signed sample stream are being started …');
  const world = await World.start();
  try {
    say(`# export LIBVIRT_DEFAULT_URI='${world.libvirtd.uri}'`);
    say(`# Every poolkeeper command below also gets --state-dir, --cache-dir and --metadata-dir in ${world.root}`);
    await firstSync(world);
    await newVersionWhileInUse(world);
    await lastUserGone(world);
    await spuriousMetadata(world);
    say('\n# Done: nothing that a domain needed was ever touched.');
  } finally {
    await world.stop();
  }
}

const RELEASES = ['release~(jammy|noble)', 'arch=amd64'];

async function firstSync(world: World): Promise<void> {
  say('\n# 1. The first sync creates the pool and fetches the newest image of every product that matches.');
  await world.publish([
    { release: 'jammy', arch: 'amd64', versions: [{ serial: '20241002', image: await world.image('jammy', 4 * MIB) }] },
    {
      release: 'noble',
      arch: 'amd64',
      versions: [{ serial: '20240821', image: await world.image('noble-old', 3 * MIB) }],
    },
  ]);
  await sync(world, [`--create-pool=${world.poolPath}`]);
  expectQuery(await type(world, ['query']), ['20240821', '20241002']);

  say('\n# 2. A second sync finds nothing to do, and says so by saying nothing.');
  const { stdout } = await sync(world);
  ok(stdout === '', 'the second sync changes nothing');
}

async function newVersionWhileInUse(world: World): Promise<void> {
  say('\n# 3. A domain stands on the noble image; then a newer version is published.');
  const xml = join(world.root, 'web1.xml');
  await writeFile(
    xml,
    domainXml({ name: 'web1', disks: [{ path: world.volumePath('noble', '20240821'), format: 'qcow2' }] }),
  );
  await virsh(world, ['define', xml]);
  await world.publish([
    { release: 'jammy', arch: 'amd64', versions: [{ serial: '20241002', image: await world.image('jammy', 4 * MIB) }] },
    {
      release: 'noble',
      arch: 'amd64',
      versions: [
        { serial: '20240821', image: await world.image('noble-old', 3 * MIB) },
        { serial: '20241004', image: await world.image('noble-new', 3 * MIB) },
      ],
    },
  ]);
  await sync(world, [...AT_ONCE, '--verbose']);
  expectQuery(await type(world, ['query', 'release=noble']), ['20241004']);
  const names = await world.volumes();
  ok(names.includes(world.volumeName('noble', '20240821')), 'the old image stays while the domain exists');
}

async function lastUserGone(world: World): Promise<void> {
  say('\n# 4. Once the domain is gone, the old image goes. (By default it waits another two hours; here it need not.)');
  await virsh(world, ['undefine', 'web1']);
  await sync(world, AT_ONCE);
  const names = await world.volumes();
  ok(!names.includes(world.volumeName('noble', '20240821')), 'the old image is deleted');
  ok(names.length === 2, 'the two current images stay');
}

async function spuriousMetadata(world: World): Promise<void> {
  say('\n# 5. Somebody deletes a volume behind poolkeeper’s back; the next sync heals it.');
  await virsh(world, ['vol-delete', '--pool', 'uvtool', world.volumeName('jammy', '20241002')]);
  await sync(world);
  expectQuery(await type(world, ['query']), ['20241002', '20241004']);
}

const MIB = 2 ** 20;
const AT_ONCE = ['--grace', '0', '--min-age', '0'];

function sync(world: World, options: readonly string[] = []): Promise<Run> {
  return type(world, ['sync', '--source', world.server.url, '--keyring', world.keyring, ...options, ...RELEASES]);
}

/** Runs poolkeeper and shows what was typed and what came back. */
async function type(world: World, args: readonly string[]): Promise<Run> {
  say(`\n$ poolkeeper ${args.map(quoted).join(' ')}`);
  const run = await world.poolkeeper(...args);
  process.stdout.write(run.stdout + run.stderr);
  ok(run.status === 0, `poolkeeper ${args[0]} ended with exit status ${run.status}`);
  return run;
}

async function virsh(world: World, args: readonly string[]): Promise<void> {
  say(`\n$ virsh ${args.map(quoted).join(' ')}`);
  process.stdout.write(await world.libvirtd.virsh(...args));
}

function expectQuery({ stdout }: Run, serials: readonly string[]): void {
  const found = [...stdout.matchAll(/\((\S+)\)/g)].map(([, serial]) => serial ?? '').toSorted();
  ok(found.join() === serials.toSorted().join(), `the query lists ${serials.join(' and ')}`);
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await demo();
