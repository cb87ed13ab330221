import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chmodCommand, chownCommand } from '../../src/commands/change-permissions.ts';
import { cloneCommand } from '../../src/commands/clone.ts';
import { deleteCommand } from '../../src/commands/delete.ts';
import { chtypeCommand, renameCommand, updateCommand } from '../../src/commands/edit-image.ts';
import { disableCommand, enableCommand } from '../../src/commands/enable.ts';
import { listCommand } from '../../src/commands/list.ts';
import { lockCommand, unlockCommand } from '../../src/commands/lock.ts';
import type { Verb } from '../../src/commands/options.ts';
import { nonpersistentCommand } from '../../src/commands/nonpersistent.ts';
import { pathCommand } from '../../src/commands/path.ts';
import { persistentCommand } from '../../src/commands/persistent.ts';
import { showCommand } from '../../src/commands/show.ts';
import { undoCommand } from '../../src/commands/undo.ts';
import { verifyCommand } from '../../src/commands/verify.ts';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { commandWords, type ImageCommand, permissionIn } from '../../src/core/image-commands.ts';
import { IMAGE_STATUSES, type ImageStatus } from '../../src/core/lifecycle.ts';
import type { Digest, ImageRecord } from '../../src/core/record.ts';
import { PoolkeeperError } from '../../src/errors.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';
import { ensurePoolStateDirs, type PoolStatePaths, poolStatePaths } from '../../src/state/paths.ts';
import { readRecords, writeRecord } from '../../src/state/records.ts';
import { inProcess } from '../support/in-process.ts';
import { World } from '../support/world.ts';

const IDENTITY = { product: 'com.example:server:noble:amd64', version: '20240423' };
const NAME = `${IDENTITY.product} ${IDENTITY.version}`;
const IMAGE = `image ${NAME}`;
const REASON = 'its digest was wrong';

/** Statuses in which the image has no volume here. */
const VOLUMELESS: readonly ImageStatus[] = ['queued', 'deleted'];

/** How each command is called, beside the image that it is about. */
const COMMANDS = {
  list: { verb: listCommand, more: {} },
  path: { verb: pathCommand, more: {} },
  clone: { verb: cloneCommand, more: { words: [NAME, 'web1'], overlay: true } },
  show: { verb: showCommand, more: {} },
  verify: { verb: verifyCommand, more: {} },
  rename: { verb: renameCommand, more: { words: [NAME, 'golden'] } },
  update: { verb: updateCommand, more: { tag: ['a=b'], untag: [] } },
  chtype: { verb: chtypeCommand, more: { words: [NAME, 'datablock'] } },
  chown: { verb: chownCommand, more: { words: [NAME, String(process.geteuid?.() ?? 0)] } },
  chmod: { verb: chmodCommand, more: { words: [NAME, '644'] } },
  nonpersistent: { verb: nonpersistentCommand, more: {} },
  persistent: { verb: persistentCommand, more: {} },
  enable: { verb: enableCommand, more: {} },
  disable: { verb: disableCommand, more: {} },
  lock: { verb: lockCommand, more: {} },
  unlock: { verb: unlockCommand, more: {} },
  delete: { verb: deleteCommand, more: {} },
  undo: { verb: undoCommand, more: {} },
} as const satisfies Partial<Record<ImageCommand, unknown>>;

type Tested = keyof typeof COMMANDS;

/** Commands after which the image is not as it was, though its status is. */
const CHANGES_MORE: ReadonlySet<Tested> = new Set<Tested>(['clone', 'persistent']);

describe('each command on an image in each status', () => {
  let world: World;
  let paths: PoolStatePaths;
  let volumeName: string;
  let content: string;
  let digest: Digest;
  /** What the image was brought into, unless the last command left more than that behind. */
  let current: ImageStatus | undefined;

  before(async () => {
    world = await World.start();
    await world.createPool();
    content = await world.image('noble');
    const hex = createHash('sha256')
      .update(await readFile(content))
      .digest('hex');
    digest = { algorithm: 'sha256', hex };
    volumeName = encodeMetadataName(IDENTITY);
    const uuid = (await world.libvirtd.virsh('pool-uuid', 'uvtool')).trim();
    const pool = { name: 'uvtool', uuid };
    paths = poolStatePaths({ stateDir: join(world.root, 'state'), pool, metadataDir: world.metadata });
  });
  after(() => world.stop());

  /** Brings the image into a status: record, volume and metadata file as they are then. */
  async function put(status: ImageStatus): Promise<void> {
    await rm(join(world.poolPath, 'web1'), { force: true });
    await rm(world.metadata, { recursive: true, force: true });
    await rm(join(world.root, 'state'), { recursive: true, force: true });
    const path = join(world.poolPath, volumeName);
    if (VOLUMELESS.includes(status)) await rm(path, { force: true });
    else {
      await copyFile(content, path);
      await world.libvirtd.give(path);
    }
    await ensurePoolStateDirs(paths, process.geteuid?.() ?? 0);
    await writeRecord(paths.records, recordIn(status));
    if (status === 'active') await writeMetadataFile(paths.metadata, IDENTITY, { release: 'noble' });
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
  }

  function recordIn(status: ImageStatus): ImageRecord {
    const source = 'https://images.example/';
    return {
      volumeName,
      identity: IDENTITY,
      status,
      reason: status === 'killed' ? REASON : undefined,
      provenance: { source, itemPath: 'a.img', sizeBytes: 1n, digest, signer: undefined, broughtBy: 'test' },
      tags: { release: 'noble' },
      times: { createdAt: 1, statusSince: 2, lastNeededAt: 3 },
    };
  }

  /** What a command printed, and how it failed. */
  async function inProcessRun(name: Tested): Promise<{ stdout: string; error: unknown }> {
    const { context, options, written } = inProcess(world);
    const { verb, more } = COMMANDS[name];
    const run = (verb as (own: typeof context) => Verb<unknown>)(context);
    const all = { ...options, image: NAME.split(' '), filters: [], all: true, states: 'glance', any: false, ...more };
    try {
      await run.handler({ _: [], $0: 'poolkeeper', ...all });
      return { stdout: written.stdout, error: undefined };
    } catch (error) {
      return { stdout: written.stdout, error };
    }
  }

  async function statusNow(): Promise<ImageStatus | undefined> {
    return (await readRecords(paths.records)).records.get(volumeName)?.status;
  }

  for (const status of IMAGE_STATUSES) {
    describe(status, () => {
      for (const name of Object.keys(COMMANDS) as Tested[]) {
        const permission = permissionIn(name, status);
        it(`${name}: ${permission.kind === 'allowed' ? (permission.to ?? 'done') : permission.why}`, async () => {
          if (current !== status) await put(status);
          current = undefined;
          const { error, stdout } = await inProcessRun(name);
          if (permission.kind === 'refused') {
            if (!(error instanceof PoolkeeperError)) throw new Error(`${name} was not refused`, { cause: error });
            const reason = status === 'killed' ? ` (${REASON})` : '';
            expect(error.message).to.equal(`cannot ${commandWords(name, IMAGE)}: ${permission.why}${reason}`);
            expect(error.hint).to.equal(permission.hint);
          } else if (error !== undefined) throw error;
          if (permission.kind === 'done') expect(stdout).to.include(permission.why);
          const now = await statusNow();
          expect(now).to.equal(permission.kind === 'allowed' ? (permission.to ?? status) : status);
          if (!CHANGES_MORE.has(name)) current = now;
        });
      }
    });
  }
});
