import { decodeVolumeName } from '../core/identity.ts';
import { FailureError, UsageError } from '../errors.ts';
import { changePermissions, type PermissionChange } from '../execute/file-permissions.ts';
import { findVolume } from '../execute/own-volume.ts';
import type { Connection } from '../libvirt/connection.ts';
import { refreshPool, type StoragePool } from '../libvirt/storage-pool.ts';
import { lookupVolume, type Volume } from '../libvirt/volume.ts';
import { lookupAccount } from '../state/accounts.ts';
import { compareVolume, otherHost } from '../usage/locality.ts';
import type { CommandContext } from './context.ts';
import { findImage, type FoundImage, namesOf } from './find-image.ts';
import { splitWords, withImages, type WordsArguments, wordsOptions } from './image-command.ts';
import type { PoolArguments, Verb } from './options.ts';
import { imageText, permit } from './permit.ts';

/** `chown IMAGE|VOLUME OWNER[:GROUP]`: changes to whom the volume of an image, or a volume made of one, belongs. */
export function chownCommand(context: CommandContext): Verb<WordsArguments> {
  return permissionCommand(context, 'chown', toOwner);
}

/** `chmod IMAGE|VOLUME MODE`: changes who may read and write the volume of an image, or one made of an image. */
export function chmodCommand(context: CommandContext): Verb<WordsArguments> {
  return permissionCommand(context, 'chmod', toMode);
}

function permissionCommand(
  context: CommandContext,
  command: 'chown' | 'chmod',
  parse: (text: string) => Promise<PermissionChange>,
): Verb<WordsArguments> {
  const what = command === 'chown' ? 'OWNER[:GROUP]' : 'MODE';
  return {
    builder: (yargs) => wordsOptions(yargs, command, what),
    handler: async (options) => {
      const [words, text] = splitWords(options, what);
      await change(context, options, { command, words, text, to: await parse(text) });
    },
  };
}

interface Request {
  readonly command: 'chown' | 'chmod';
  readonly words: readonly string[];
  readonly text: string;
  readonly to: PermissionChange;
}

async function change(context: CommandContext, options: PoolArguments, request: Request): Promise<void> {
  const { command, words, text, to } = request;
  await withImages(context, options, command, async ({ connection, pool, reporter }, images) => {
    const clone = await findClone({ connection, poolName: pool.name }, words, images);
    const image = clone === undefined ? findImage(words, images) : undefined;
    if (image !== undefined) permit(command, image);
    const volume = clone ?? (await lookupVolume(connection, pool.name, image?.volumeName ?? ''));
    const what = image === undefined ? `volume '${volume.name}'` : imageText(image);
    const elsewhere = await whyElsewhere(connection, pool, volume.name);
    if (elsewhere !== undefined) {
      throw new FailureError(`cannot ${command} ${what}: ${elsewhere}`, {
        hint: "run poolkeeper on the host that has the file: libvirt cannot change a volume's permissions",
      });
    }
    await changePermissions(volume, to);
    await refreshPool(connection, pool.name);
    const fields = { ...image?.identity, volume: volume.name, path: volume.path };
    const given = 'mode' in to ? { mode: text } : to;
    reporter.event('change', `changed ${what} to ${text}`, 'permissions_changed', { ...fields, ...given });
    const advice =
      'libvirt gives the disks of a domain that starts to QEMU, unless dynamic_ownership is off in qemu.conf';
    reporter.event('detail', advice, 'advice', { message: advice });
  });
}

/** Why the file of a volume is not proven to be the one that lies under its path here. */
async function whyElsewhere(connection: Connection, pool: StoragePool, name: string): Promise<string | undefined> {
  const other = await otherHost(connection);
  if (other !== undefined) return other;
  const found = await compareVolume(connection, pool, name);
  if (found.is === 'same') return undefined;
  return found.why === '' ? 'its file changes, or is not a regular file' : found.why;
}

/** A volume of the pool that is no image, such as a clone. It is meant only by its whole name, and only if no image has it. */
async function findClone(
  pool: { readonly connection: Connection; readonly poolName: string },
  words: readonly string[],
  images: readonly FoundImage[],
): Promise<Volume | undefined> {
  const [name = '', ...others] = words;
  const isImage = decodeVolumeName(name) !== undefined || images.some((image) => namesOf(image).includes(name));
  return others.length > 0 || isImage ? undefined : findVolume(pool, name);
}

async function toOwner(text: string): Promise<PermissionChange> {
  const [owner = '', group = '', ...rest] = text.split(':');
  if (rest.length > 0 || (owner === '' && group === '')) {
    throw new UsageError(`'${text}' is not OWNER[:GROUP]`, { hint: 'such as root, root:kvm, 64055:108 or :kvm' });
  }
  return {
    uid: owner === '' ? undefined : await lookupAccount('passwd', owner),
    gid: group === '' ? undefined : await lookupAccount('group', group),
  };
}

/** Images are read and written; nothing else makes sense for them. */
function toMode(text: string): Promise<PermissionChange> {
  if (!/^0?[0-6][0-6][0-6]$/.test(text) || /[1357]/.test(text)) {
    return Promise.reject(
      new UsageError(`'${text}' is not a mode for an image`, { hint: 'three digits of 0, 2, 4 and 6, such as 640' }),
    );
  }
  return Promise.resolve({ mode: Number.parseInt(text, 8) });
}
