import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeMetadataName, type Identity } from '../../src/core/identity.ts';
import { commandWords, IMAGE_COMMANDS, type ImageCommand, permissionIn } from '../../src/core/image-commands.ts';
import { IMAGE_STATUSES, type ImageStatus } from '../../src/core/lifecycle.ts';
import type { Digest, ImageRecord } from '../../src/core/record.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';
import { ensurePoolStateDirs, type PoolStatePaths, poolStatePaths } from '../../src/state/paths.ts';
import { readRecords, writeRecord } from '../../src/state/records.ts';
import { runInProcess } from '../support/in-process.ts';
import { World } from '../support/world.ts';

const SYNCED: Identity = { product: 'com.example:server:noble:amd64', version: '20240423' };
const OWN: Identity = { product: 'local:golden', version: '20240423T000000Z' };
const REASON = 'its digest was wrong';
const UID = process.geteuid?.() ?? 0;

/** Statuses in which the image has no volume here. */
const VOLUMELESS: readonly ImageStatus[] = ['queued', 'deleted'];

/** How each command is called on an image. Those before the first that changes it find it as it was put. */
const COMMAND_LINES: Readonly<Record<ImageCommand, (image: string, content: string) => readonly string[]>> = {
  list: () => ['list', '--all'],
  show: (image) => ['show', image],
  path: (image) => ['path', image],
  lease: (image) => ['lease', 'run', image, '--', 'true'],
  verify: (image) => ['verify', image],
  rename: (image) => ['rename', image, 'renamed'],
  update: (image) => ['update', image, '--tag', 'a=b'],
  chtype: (image) => ['chtype', image, 'datablock'],
  chown: (image) => ['chown', image, String(UID)],
  chmod: (image) => ['chmod', image, '644'],
  lock: (image) => ['lock', image],
  unlock: (image) => ['unlock', image],
  nonpersistent: (image) => ['nonpersistent', image],
  enable: (image) => ['enable', image],
  disable: (image) => ['disable', image],
  delete: (image) => ['delete', image],
  undo: (image) => ['undo', image],
  clone: (image) => ['clone', image, 'web1', '--overlay'],
  persistent: (image) => ['persistent', image],
  'snapshot create': (image) => ['snapshot', 'create', image, 'monday'],
  'snapshot list': (image) => ['snapshot', 'list', image],
  'snapshot revert': (image) => ['snapshot', 'revert', image, 'monday', '--yes'],
  'snapshot flatten': (image) => ['snapshot', 'flatten', image],
  'snapshot delete': (image) => ['snapshot', 'delete', image, 'monday'],
  import: (_image, content) => ['import', content, '--name', 'golden'],
  create: () => ['create', '--name', 'golden', '--size', '1M'],
};

/** Commands after which the image is not as it was, though its status is. */
const CHANGES_MORE: ReadonlySet<ImageCommand> = new Set<ImageCommand>(['clone', 'persistent', 'import', 'create']);

/** What a command says on standard error: the refusal and its hint, or nothing. */
function talkOf(command: ImageCommand, name: string, status: ImageStatus): string {
  const permission = permissionIn(command, status);
  if (permission.kind !== 'refused') return '';
  if (command === 'import' || command === 'create') {
    const undo = `'poolkeeper undo local:golden' takes it back; once it is deleted, its name is free`;
    const hint = status === 'pending_delete' ? undo : 'choose another name, or delete that image first';
    return `poolkeeper: error: image 'golden' exists already: its status is ${status}\npoolkeeper: hint: ${hint}\n`;
  }
  const reason = status === 'killed' ? ` (${REASON})` : '';
  const error = `cannot ${commandWords(command, `image ${name}`)}: ${permission.why}${reason}`;
  return `poolkeeper: error: ${error}\npoolkeeper: hint: ${permission.hint}\n`;
}

describe('each command on an image in each status', () => {
  let world: World;
  let paths: PoolStatePaths;
  let content: string;
  let digest: Digest;
  /** What was put into the pool, unless the last command left more than that behind. */
  let current = '';

  before(async () => {
    world = await World.start();
    await world.createPool();
    content = await world.image('noble');
    const bytes = await readFile(content);
    digest = { algorithm: 'sha256', hex: createHash('sha256').update(bytes).digest('hex') };
    const uuid = (await world.libvirtd.virsh('pool-uuid', 'uvtool')).trim();
    const pool = { name: 'uvtool', uuid };
    paths = poolStatePaths({ stateDir: join(world.root, 'state'), pool, metadataDir: world.metadata });
  });
  after(() => world.stop());

  /** Brings the image into a status: record, volume and metadata file as they are then. */
  async function put(identity: Identity, status: ImageStatus, isPersistent: boolean): Promise<void> {
    for (const name of await readdir(world.poolPath)) await rm(join(world.poolPath, name));
    await rm(world.metadata, { recursive: true, force: true });
    await rm(join(world.root, 'state'), { recursive: true, force: true });
    const path = join(world.poolPath, encodeMetadataName(identity));
    if (!VOLUMELESS.includes(status)) {
      await copyFile(content, path);
      await world.libvirtd.give(path);
    }
    await ensurePoolStateDirs(paths, UID);
    await writeRecord(paths.records, recordIn(identity, status, isPersistent));
    if (status === 'active') await writeMetadataFile(paths.metadata, identity, { release: 'noble' });
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
  }

  function recordIn(identity: Identity, status: ImageStatus, isPersistent: boolean): ImageRecord {
    const source = 'https://images.example/';
    return {
      volumeName: encodeMetadataName(identity),
      identity,
      status,
      reason: status === 'killed' ? REASON : undefined,
      provenance: { source, itemPath: 'a.img', sizeBytes: 1n, digest, signer: undefined, broughtBy: 'test' },
      tags: { release: 'noble' },
      times: { createdAt: 1, statusSince: 2, lastNeededAt: 3 },
      traits: { type: 'os', isPersistent },
    };
  }

  async function statusOf(identity: Identity): Promise<ImageStatus | undefined> {
    return (await readRecords(paths.records)).records.get(encodeMetadataName(identity))?.status;
  }

  it('is tried, whatever the command', () => {
    expect(Object.keys(COMMAND_LINES).toSorted()).to.deep.equal([...IMAGE_COMMANDS].toSorted());
  });

  for (const status of IMAGE_STATUSES) {
    describe(status, () => {
      for (const command of Object.keys(COMMAND_LINES) as ImageCommand[]) {
        const permission = permissionIn(command, status);
        const isNaming = command === 'import' || command === 'create';
        const isSnapshot = command.startsWith('snapshot');
        const identity = isNaming ? OWN : SYNCED;
        const name = `${identity.product} ${identity.version}`;
        it(`${command}: ${permission.kind === 'allowed' ? (permission.to ?? 'done') : permission.why}`, async () => {
          const wanted = `${name} ${status} ${isSnapshot}`;
          if (current !== wanted) await put(identity, status, isSnapshot);
          current = '';
          const run = await runInProcess(world, COMMAND_LINES[command](name, content));
          const now = await statusOf(identity);
          expect(run.stderr.replace(/^poolkeeper: warning: .*\n/, '')).to.equal(talkOf(command, name, status));
          expect(run.status > 0).to.equal(permission.kind === 'refused');
          if (isNaming && permission.kind === 'allowed') return;
          if (permission.kind === 'done') expect(run.stdout).to.include(permission.why);
          expect(now).to.equal(permission.kind === 'allowed' ? (permission.to ?? status) : status);
          if (now === status && !CHANGES_MORE.has(command)) current = wanted;
        });
      }
    });
  }
});
